"""aiocoap as speed.py measures it beside copal: aiocoap_server.py PORT has what
examples/c/bench-server.c has, takes PUT /hello, and has 1 MiB at /body."""

import asyncio
import sys

import aiocoap
from aiocoap import resource


class Fixed(resource.Resource):
    def __init__(self, payload):
        super().__init__()
        self.payload = payload

    async def render_get(self, request):
        return aiocoap.Message(payload=self.payload)

    async def render_put(self, request):
        return aiocoap.Message(code=aiocoap.CHANGED)


class Value(resource.ObservableResource):
    version = 0

    async def render_get(self, request):
        return aiocoap.Message(payload=b"value %06d" % self.version)

    async def render_put(self, request):
        self.version += 1
        self.updated_state()
        return aiocoap.Message(code=aiocoap.CHANGED)


async def main(port):
    site = resource.Site()
    for path, payload in (("hello", b"hello, world"), ("big", bytes(1024)), ("sink", b""), ("body", bytes(2**20))):
        site.add_resource([path], Fixed(payload))
    site.add_resource(["obs"], Value())
    await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", port))
    await asyncio.get_running_loop().create_future()


asyncio.run(main(int(sys.argv[1])))
