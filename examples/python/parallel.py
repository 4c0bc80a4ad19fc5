"""parallel.py URI...: asks for all of them at once and prints a line for each
as it is answered, whatever the order."""

import asyncio
import sys

import copal


async def main(uris: list[str]) -> int:
    failed = 0
    async with copal.Endpoint(nstart=8) as coap:
        async for uri, r in coap.get_all(uris, limit=8):
            failed += isinstance(r, copal.Error)
            print(uri, "", r, flush=True)  # a response, or why there is none
    return failed


sys.exit(asyncio.run(main(sys.argv[1:])) != 0)
