"""aiocoap's EDHOC, which is lakers', in either role.

serve KEYS     answers /.well-known/core, and /hello to who is known, on a free port
ask KEYS URI   GETs URI and writes the payload

KEYS is a JSON object: private_key, credential and peer_credential in hexadecimal
digits, style ("by-key-id" or "by-value"), combined."""

import asyncio
import json
import socket
import sys

import aiocoap
import aiocoap.credentials
import cbor2
from aiocoap import resource
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper


def credentials(keys, scope):
    return {
        scope: {
            "edhoc-oscore": {
                "suite": 2,
                "method": 3,
                "own_cred_style": keys["style"],
                "own_cred": {14: cbor2.loads(bytes.fromhex(keys["credential"]))},
                "peer_cred": {14: cbor2.loads(bytes.fromhex(keys["peer_credential"]))},
                "private_key": {1: 2, -1: 1, -4: bytes.fromhex(keys["private_key"])},
                "use_combined_edhoc": keys.get("combined", True),
            }
        }
    }


class Hello(resource.Resource):
    async def render_get(self, request):
        who = getattr(request.remote, "authenticated_claims", [])
        return aiocoap.Message(payload=("hello " + " ".join(map(str, who))).encode())


async def serve(keys):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    site = resource.Site()
    site.add_resource(["hello"], Hello())
    given = aiocoap.credentials.CredentialsMap()
    base = f"coap://127.0.0.1:{port}"
    given.load_from_dict(credentials(keys, base + "/*"))
    context = await aiocoap.Context.create_server_context(
        OscoreSiteWrapper(site, given), bind=("127.0.0.1", port), transports=["udp6"]
    )
    print(f"listening on {base}", flush=True)
    await asyncio.get_running_loop().create_future()
    await context.shutdown()


async def ask(keys, uri):
    context = await aiocoap.Context.create_client_context(transports=["oscore", "udp6"])
    host = uri.split("/")[2]
    context.client_credentials.load_from_dict(credentials(keys, f"coap://{host}/*"))
    for _ in range(2):  # by the keys that the first one brought, too
        res = await context.request(aiocoap.Message(code=aiocoap.GET, uri=uri)).response
    print(res.payload.decode())
    await context.shutdown()


with open(sys.argv[2]) as f:
    given_keys = json.load(f)
asyncio.run(serve(given_keys) if sys.argv[1] == "serve" else ask(given_keys, sys.argv[3]))
