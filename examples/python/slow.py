"""slow.py [URI]: /slow answers after three seconds. The library acknowledges
the request in time; the answer goes out in a message of its own."""

import asyncio
import sys

import copal


async def main(where: str = "coap://*") -> None:
    async with copal.Endpoint(listen=where) as coap:

        @coap.serve("/slow")
        async def slow(req: copal.Message) -> str:
            await asyncio.sleep(3)
            return "worth the wait"

        print("listening on", *coap.addresses, file=sys.stderr)
        await coap.forever()


try:
    asyncio.run(main(*sys.argv[1:2]))
except copal.Error as e:
    sys.exit(str(e))
except KeyboardInterrupt:
    pass
