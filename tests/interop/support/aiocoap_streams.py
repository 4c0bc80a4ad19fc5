"""aiocoap_streams.py PORT: a server on aiocoap by TCP at PORT and by WebSocket at
PORT + 3000, which is where it puts it."""

import asyncio
import sys

import aiocoap
from aiocoap import resource


class Hello(resource.Resource):
    async def render_get(self, request):
        return aiocoap.Message(payload=b"made with aiocoap")


class Echo(resource.Resource):
    async def render_put(self, request):
        return aiocoap.Message(code=aiocoap.CHANGED, payload=request.payload)


class Count(resource.ObservableResource):
    def __init__(self):
        super().__init__()
        self.count = 1

    def update_observation_count(self, count):
        if count:
            asyncio.get_running_loop().call_later(0.3, self.tick)

    def tick(self):
        self.count += 1
        self.updated_state()
        if self.count < 1000:
            asyncio.get_running_loop().call_later(0.3, self.tick)

    async def render_get(self, request):
        return aiocoap.Message(payload=str(self.count).encode())


async def main():
    port = int(sys.argv[1])
    site = resource.Site()
    site.add_resource(["hello"], Hello())
    site.add_resource(["echo"], Echo())
    site.add_resource(["count"], Count())
    await aiocoap.Context.create_server_context(
        site, bind=("127.0.0.1", port), transports=["tcpserver", "ws"]
    )
    print("ready", flush=True)
    await asyncio.get_running_loop().create_future()


asyncio.run(main())
