"""lakers by itself as an end of EDHOC, message by message, and then OSCORE, which
is aiocoap's, by the keys that it exports.

serve KEYS [WORDS]      answers /hello to who is known, on a free port
ask KEYS URI [WORDS]    GETs URI twice and writes the payload

KEYS is a JSON object: private_key, credential and peer_credential in hexadecimal
digits, style ("by-key-id" or "by-value"). Words: other-key, as if that were our
private key; changed, message 3; unread, whether message 4 came or not (serve: none
is sent); again, message 1 goes twice. Who is refused is told so on standard error:
exit 4."""

import asyncio
import json
import pathlib
import socket
import sys
import tempfile

import aiocoap
import cbor2
import lakers
from aiocoap import oscore, resource
from aiocoap.credentials import CredentialsMap
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper

LIMIT = 15  # seconds an answer may take
EDHOC = 64  # application/edhoc+cbor-seq
OURS, OURS_ELSE = b"\x07", b"\x27"  # of us; where the peer has the first
TRANSFER = {
    "by-key-id": lakers.CredentialTransfer.ByReference,
    "by-value": lakers.CredentialTransfer.ByValue,
}


class Keys:
    def __init__(self, name, words):
        told = json.loads(pathlib.Path(name).read_text("utf-8"))
        self.private = bytes.fromhex(told["private_key"])
        self.credential = bytes.fromhex(told["credential"])
        self.peer = bytes.fromhex(told["peer_credential"])
        self.transfer = TRANSFER[told["style"]]
        self.words = words
        if "other-key" in words:
            self.private, _ = lakers.p256_generate_key_pair()


def context_of(session, sender, recipient):
    """What both know now. RFC 9528 A.1."""
    folder = tempfile.mkdtemp()
    settings = {
        "algorithm": "AES-CCM-16-64-128",
        "kdf-hashfun": "sha256",
        "sender-id_hex": sender.hex(),
        "recipient-id_hex": recipient.hex(),
        "secret_hex": bytes(session.edhoc_exporter(0, [], 16)).hex(),
        "salt_hex": bytes(session.edhoc_exporter(1, [], 8)).hex(),
    }
    pathlib.Path(folder, "settings.json").write_text(json.dumps(settings), "utf-8")
    return folder


def refusal(why):
    return aiocoap.Message(
        code=aiocoap.BAD_REQUEST,
        content_format=EDHOC,
        payload=cbor2.dumps(1) + cbor2.dumps(str(why)),
    )


# ---- Responder ----


class Hello(resource.Resource):
    async def render_get(self, request):
        if not getattr(request.remote, "authenticated_claims", None):
            raise aiocoap.error.Unauthorized
        return aiocoap.Message(payload=b"hello lakers")


class Site(OscoreSiteWrapper):
    def __init__(self, inner, known, keys):
        super().__init__(inner, known)
        self.known, self.keys, self.session = known, keys, None
        self.c_i = self.c_r = None

    async def _render_edhoc_to_pipe(self, pipe):
        payload = pipe.request.payload
        try:
            answer = self.first(payload[1:]) if payload[:1] == b"\xf5" else self.third(payload)
        except (RuntimeError, ValueError) as e:
            answer = refusal(e)
        pipe.add_response(answer, is_last=True)

    def first(self, message_1):
        self.session = lakers.EdhocResponder(r=self.keys.private, cred_r=self.keys.credential)
        self.c_i, _ = self.session.process_message_1(message_1)
        self.c_r = OURS_ELSE if self.c_i == OURS else OURS
        message_2 = self.session.prepare_message_2(self.keys.transfer, self.c_r, None)
        return aiocoap.Message(code=aiocoap.CHANGED, payload=message_2)

    def third(self, payload):
        if payload[:1] != self.c_r:
            raise ValueError("no such session")
        self.session.parse_message_3(payload[1:])
        self.session.verify_message_3(self.keys.peer)
        message_4 = b""
        if "unread" in self.keys.words:
            self.session.completed_without_message_4()
        else:
            message_4 = self.session.prepare_message_4(None)
        folder = context_of(self.session, sender=self.c_i, recipient=self.c_r)
        self.known[":peer"] = oscore.FilesystemSecurityContext(folder)
        self.known[":peer"].authenticated_claims = ["peer"]
        return aiocoap.Message(code=aiocoap.CHANGED, payload=message_4)


async def serve(keys):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    site = resource.Site()
    site.add_resource(["hello"], Hello())
    known = CredentialsMap()
    await aiocoap.Context.create_server_context(
        Site(site, known, keys), bind=("127.0.0.1", port), transports=["udp6"], server_credentials=known
    )
    print(f"listening on coap://127.0.0.1:{port}", flush=True)
    await asyncio.get_running_loop().create_future()


# ---- Initiator ----


def refused(why):
    print("refused:", why, file=sys.stderr)
    sys.exit(4)


async def post(context, base, payload):
    request = aiocoap.Message(code=aiocoap.POST, uri=base + "/.well-known/edhoc", payload=payload)
    answer = await asyncio.wait_for(context.request(request).response, LIMIT)
    if not answer.code.is_successful():
        refused(f"{answer.code} {answer.payload.hex()}")
    return answer.payload


async def shake(context, base, keys):
    """Gives the folder of a context of OSCORE."""
    session = lakers.EdhocInitiator()
    message_1 = cbor2.dumps(True) + session.prepare_message_1(OURS, [])
    if "again" in keys.words:
        await post(context, base, message_1)
    c_r, _, _ = session.parse_message_2(await post(context, base, message_1))
    session.verify_message_2(keys.private, keys.credential, keys.peer)
    message_3, _ = session.prepare_message_3(keys.transfer, None)
    if "changed" in keys.words:
        message_3 = message_3[:-1] + bytes([message_3[-1] ^ 1])
    is_short = len(c_r) == 1 and (c_r[0] < 0x18 or 0x20 <= c_r[0] < 0x38)
    message_4 = await post(context, base, (c_r if is_short else cbor2.dumps(c_r)) + message_3)
    if "unread" in keys.words:
        session.completed_without_message_4()
    else:
        session.process_message_4(message_4)
    return context_of(session, sender=c_r, recipient=OURS)


async def ask(keys, uri):
    context = await aiocoap.Context.create_client_context(transports=["oscore", "udp6"])
    base = "/".join(uri.split("/")[:3])
    folder = await shake(context, base, keys)
    context.client_credentials.load_from_dict({base + "/hello*": {"oscore": {"basedir": folder}}})
    for _ in range(2):
        request = aiocoap.Message(code=aiocoap.GET, uri=uri)
        answer = await asyncio.wait_for(context.request(request).response, LIMIT)
        if not answer.code.is_successful():
            refused(answer.code)
    print(answer.payload.decode())
    await context.shutdown()


if sys.argv[1] == "serve":
    asyncio.run(serve(Keys(sys.argv[2], sys.argv[3:])))
else:
    asyncio.run(ask(Keys(sys.argv[2], sys.argv[4:]), sys.argv[3]))
