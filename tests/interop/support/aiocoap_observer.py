"""aiocoap_observer.py URI COUNT: observes, prints so many notifications, then
lets go and stays a while: what still comes is rejected, as aiocoap does."""

import asyncio
import sys

import aiocoap


async def main():
    context = await aiocoap.Context.create_client_context(transports=["udp6"])
    request = context.request(aiocoap.Message(code=aiocoap.GET, uri=sys.argv[1], observe=0))
    left = int(sys.argv[2])
    print((await request.response).payload.decode(), flush=True)
    async for notification in request.observation:
        print(notification.payload.decode(), flush=True)
        left -= 1
        if left <= 1:
            break
    request.observation.cancel()
    print("let go", flush=True)
    await asyncio.sleep(4)
    await context.shutdown()


asyncio.run(main())
