"""observe.py URI [COUNT]: prints what a resource says each time it changes, and
leaves after COUNT times."""

import asyncio
import sys

import copal


async def main(uri: str, left: int = 10) -> None:
    async with copal.Endpoint() as coap:
        async for note in coap.observe(uri):
            print(note.text, flush=True)
            left -= 1
            if left == 0:
                break  # leaving the loop tells the server to forget us


if len(sys.argv) < 2:
    sys.exit("usage: observe.py URI [COUNT]")
try:
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:3])))
except copal.Error as e:
    sys.exit(str(e))
