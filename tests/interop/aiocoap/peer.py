"""The matrix's program on aiocoap: see support/matrix.sh."""

import asyncio
import math
import os
import socket
import ssl
import sys

import aiocoap
import aiocoap.credentials
from aiocoap import error, resource

OCTETS = 42
ETAG = bytes([1, 2])


def read(path):
    with open(path, "rb") as file:
        return file.read()


# ---- Schemes and keys: see support/secured.sh --------------------------------

# Which transport, and how far from the port that is asked for it listens.
SERVING = {
    "coap": ("udp6", 0),
    "coap+tcp": ("tcpserver", 0),
    "coap+ws": ("ws", 3000),
    "coaps": ("tinydtls_server", 1),
    "coaps+tcp": ("tlsserver", 1),
    "coaps+ws": ("ws", 3001),
}
ASKING = {
    "coap": "udp6",
    "coap+tcp": "tcpclient",
    "coap+ws": "ws",
    "coaps": "tinydtls",
    "coaps+tcp": "tlsclient",
    "coaps+ws": "ws",
}
KIND = os.environ.get("PEER_KIND", "plain")
WRONG = "PEER_WRONG" in os.environ


def key_file(name):
    return os.path.join(os.environ["PEER_KEYS"], name)


def credentials(scope):
    all = aiocoap.credentials.CredentialsMap()
    if KIND == "psk":
        key = bytes.fromhex(read(key_file("wrong-psk" if WRONG else "psk")).decode().strip()[2:])
        all.load_from_dict(
            {scope: {"dtls": {"psk": {"hex": key.hex()}, "client-identity": {"ascii": "me"}}}}
        )
    elif KIND == "server-cert":
        trusted = key_file("stranger.pem" if WRONG else "ca.pem")
        all.load_from_dict({scope: {"tlscert": {"certfile": trusted}}})
    return all


def tls_of_server():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(key_file("server.pem"), key_file("server.key"))
    if os.environ["PEER_SCHEME"] == "coaps+tcp":
        context.set_alpn_protocols(["coap"])  # RFC 8323 8.2
    return context


# aiocoap does not say which port it got, so a free one is looked for.
def free_port(distance):
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        try:
            for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("127.0.0.1", port + distance))
            return port
        except OSError:
            continue


async def context_for(uri):
    scheme = uri.split(":")[0]
    context = await aiocoap.Context.create_client_context(transports=[ASKING[scheme]])
    host = uri.split("/")[2]
    context.client_credentials.update(credentials(f"{scheme}://{host}/*"))
    return context


# ---- Serving ----------------------------------------------------------------


def answer(code, payload=b""):
    return aiocoap.Message(
        code=code, payload=payload, content_format=OCTETS if payload else None
    )


class Constant(resource.Resource):
    def __init__(self, payload):
        super().__init__()
        self.payload = payload

    async def render_get(self, request):
        return answer(aiocoap.CONTENT, self.payload)


class Value(resource.ObservableResource):
    def __init__(self):
        super().__init__()
        self.kept = None

    async def render_get(self, request):
        if self.kept is None:
            raise error.NotFound()
        return answer(aiocoap.CONTENT, self.kept)

    async def render_put(self, request):
        code = aiocoap.CREATED if self.kept is None else aiocoap.CHANGED
        self.kept = request.payload
        self.updated_state()
        return answer(code)

    async def render_delete(self, request):
        self.kept = None
        return answer(aiocoap.DELETED)


class Echo(resource.Resource):
    async def render_post(self, request):
        return answer(aiocoap.CHANGED, request.payload)

    async def render_fetch(self, request):
        return answer(aiocoap.CONTENT, request.payload)


class Separate(resource.Resource):
    async def render_get(self, request):
        await asyncio.sleep(1)
        return answer(aiocoap.CONTENT, b"done")


class Tagged(resource.Resource):
    async def render_get(self, request):
        known = ETAG in request.opt.etags
        message = answer(aiocoap.VALID if known else aiocoap.CONTENT, b"" if known else b"tagged")
        message.opt.etag = ETAG
        return message


async def serve(path):
    site = resource.Site()
    site.add_resource([], Constant(b"made with aiocoap"))
    site.add_resource(["large"], Constant(read(path)))
    site.add_resource(["store"], Value())
    site.add_resource(["obs"], Value())
    site.add_resource(["echo"], Echo())
    site.add_resource(["separate"], Separate())
    site.add_resource(["etag"], Tagged())

    scheme = os.environ.get("PEER_SCHEME", "coap")
    transport, distance = SERVING[scheme]
    port = free_port(distance)
    await aiocoap.Context.create_server_context(
        site,
        bind=("127.0.0.1", port),
        transports=[transport],
        server_credentials=credentials(":client"),
        _ssl_context=tls_of_server() if scheme in ("coaps+tcp", "coaps+ws") else None,
    )
    print(f"listening on {scheme}://127.0.0.1:{port + distance}", flush=True)
    await asyncio.get_running_loop().create_future()


# ---- Asking -----------------------------------------------------------------


async def ask(method, uri, *words):
    said = dict(word.partition("=")[::2] for word in words)
    tuning = aiocoap.Unreliable if "non" in said else None
    message = aiocoap.Message(code=getattr(aiocoap, method), uri=uri, transport_tuning=tuning)
    context = await context_for(uri)
    exponent = int(math.log2(int(said.get("block", 1024)))) - 4
    if "body" in said:
        message.payload = read(said["body"])
        message.opt.content_format = OCTETS
    elif "block" in said:
        message.opt.block2 = (0, False, exponent)
    if "etag" in said:
        message.opt.etags = [bytes.fromhex(said["etag"])]
    if "option" in said:
        number = aiocoap.OptionNumber(int(said["option"]))
        message.opt.add_option(number.create_option(value=b"x"))
    if "block" in said and "body" in said:
        message.remote.maximum_block_size_exp = exponent
    response = await context.request(message).response
    sys.stdout.buffer.write(response.payload)
    if response.opt.etag:
        print("etag", response.opt.etag.hex(), file=sys.stderr)
    print("code", response.code.dotted, file=sys.stderr)
    await context.shutdown()


# After it let go it stays: what still comes is rejected, as aiocoap does.
async def observe(uri, count):
    context = await context_for(uri)
    request = context.request(aiocoap.Message(code=aiocoap.GET, uri=uri, observe=0))
    left = int(count) - 1
    print((await request.response).payload.decode(), flush=True)
    async for notification in request.observation:
        print(notification.payload.decode(), flush=True)
        left -= 1
        if left == 0:
            break
    request.observation.cancel()
    print("let go", flush=True)
    await asyncio.sleep(2)
    await context.shutdown()


asyncio.run({"serve": serve, "ask": ask, "observe": observe}[sys.argv[1]](*sys.argv[2:]))
