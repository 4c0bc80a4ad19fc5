"""aiocoap with OSCORE, both ways.

    aiocoap_oscore.py serve DIR            says "listening on URI"
    aiocoap_oscore.py VERB URI DIR [BODY|COUNT]

DIR is a context of aiocoap's. get and put print the answer, observe COUNT
notifications. An answer that is an error is told on standard error: exit 4.
"""

import asyncio
import logging
import socket
import sys

import aiocoap
from aiocoap import oscore, resource
from aiocoap.credentials import CredentialsMap
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper

PERIOD = 0.4  # seconds between ticks
LIMIT = 15  # seconds an answer may take


def must_be_protected(request):
    if not request.remote.authenticated_claims:
        raise aiocoap.error.Unauthorized


class Hello(resource.Resource):
    async def render_get(self, request):
        must_be_protected(request)
        return aiocoap.Message(payload=b"hello", content_format=0)


class Time(resource.ObservableResource):
    def __init__(self):
        super().__init__()
        self.ticks = 0
        self.beat = asyncio.create_task(self.run())

    async def run(self):
        while True:
            await asyncio.sleep(PERIOD)
            self.ticks += 1
            self.updated_state()

    async def render_get(self, request):
        must_be_protected(request)
        return aiocoap.Message(payload=f"tick {self.ticks}".encode(), content_format=0)


class Block(resource.Resource):
    def __init__(self):
        super().__init__()
        self.kept = b""

    async def render_get(self, request):
        return aiocoap.Message(payload=self.kept, content_format=42)

    async def render_put(self, request):
        must_be_protected(request)
        self.kept = request.payload
        return aiocoap.Message(code=aiocoap.CHANGED)


async def serve(folder):
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("coap-server").setLevel(logging.DEBUG)
    site = resource.Site()
    site.add_resource(["hello"], Hello())
    site.add_resource(["time"], Time())
    site.add_resource(["block"], Block())
    known = CredentialsMap()
    known[":peer"] = oscore.FilesystemSecurityContext(folder)
    known[":peer"].authenticated_claims = ["peer"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    await aiocoap.Context.create_server_context(
        OscoreSiteWrapper(site, known),
        bind=("127.0.0.1", port),
        transports=["udp6"],
        server_credentials=known,
    )
    print(f"listening on coap://127.0.0.1:{port}", flush=True)
    await asyncio.get_running_loop().create_future()


async def ask(verb, uri, folder, more):
    context = await aiocoap.Context.create_client_context()
    base = "/".join(uri.split("/")[:3])
    context.client_credentials.load_from_dict({base + "/*": {"oscore": {"basedir": folder}}})
    message = aiocoap.Message(code=aiocoap.PUT if verb == "put" else aiocoap.GET, uri=uri)
    if verb == "put":
        message.payload = open(more, "rb").read()
    if verb == "observe":
        message.opt.observe = 0
    request = context.request(message)
    answer = await asyncio.wait_for(request.response, LIMIT)
    if not answer.code.is_successful():
        print(answer.code, file=sys.stderr)
        sys.exit(4)
    if verb != "observe":
        sys.stdout.buffer.write(answer.payload)
    else:
        print(answer.payload.decode())
        left = int(more) - 1
        async for notification in request.observation:
            print(notification.payload.decode(), flush=True)
            left -= 1
            if left == 0:
                break
    sys.stdout.flush()
    await context.shutdown()


if sys.argv[1] == "serve":
    asyncio.run(serve(sys.argv[2]))
else:
    asyncio.run(ask(*sys.argv[1:4], sys.argv[4] if len(sys.argv) > 4 else None))
