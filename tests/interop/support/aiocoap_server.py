"""A server on aiocoap: what copal's clients are tried against.

Says "listening on URI" on standard output and logs each message, as aiocoap
does, on standard error.
"""

import asyncio
import logging
import socket

import aiocoap
from aiocoap import resource

PERIOD = 0.4  # seconds between ticks


class Root(resource.Resource):
    async def render_get(self, request):
        return aiocoap.Message(payload=b"made with aiocoap", content_format=0)

    async def render_post(self, request):
        return aiocoap.Message(code=aiocoap.CREATED, location_path=("made", "here"))


class Time(resource.ObservableResource):
    """Ticks; the counter shows that nothing was left out."""

    def __init__(self):
        super().__init__()
        self.rt = "ticks"
        self.ticks = 0
        self.beat = asyncio.create_task(self.run())

    def update_observation_count(self, newcount):
        logging.info("observers of /time: %d", newcount)

    async def run(self):
        while True:
            await asyncio.sleep(PERIOD)
            self.ticks += 1
            self.updated_state()

    async def render_get(self, request):
        return aiocoap.Message(payload=f"tick {self.ticks}".encode(), content_format=0)


class Separate(resource.Resource):
    async def render_get(self, request):
        await asyncio.sleep(1)
        return aiocoap.Message(payload=b"done", content_format=0)


class Block(resource.ObservableResource):
    """Keeps what is PUT; aiocoap puts blocks together and takes them apart."""

    def __init__(self):
        super().__init__()
        self.rt = "block"
        self.kept = b"\n".join(b"line %d" % i for i in range(1000))

    async def render_get(self, request):
        return aiocoap.Message(payload=self.kept, content_format=42)

    async def render_put(self, request):
        self.kept = request.payload
        self.updated_state()
        return aiocoap.Message(code=aiocoap.CHANGED)

    async def render_post(self, request):
        return aiocoap.Message(code=aiocoap.CHANGED, payload=request.payload[::-1])

    async def render_delete(self, request):
        self.kept = b""
        return aiocoap.Message(code=aiocoap.DELETED)


async def main():
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("coap-server").setLevel(logging.DEBUG)
    site = resource.Site()
    core = resource.WKCResource(site.get_resources_as_linkheader, impl_info=None)
    site.add_resource([".well-known", "core"], core)
    site.add_resource([], Root())
    site.add_resource(["time"], Time())
    site.add_resource(["other", "separate"], Separate())
    site.add_resource(["other", "block"], Block())

    # aiocoap does not say which port it got, so a free one is looked for.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    await aiocoap.Context.create_server_context(
        site, bind=("127.0.0.1", port), transports=["udp6"]
    )
    print(f"listening on coap://127.0.0.1:{port}", flush=True)
    await asyncio.get_running_loop().create_future()


asyncio.run(main())
