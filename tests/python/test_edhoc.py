"""EDHOC from Python: use_edhoc(), make_edhoc(), credentials files."""

import asyncio
import json

import pytest

import copal


@pytest.fixture(autouse=True)
def built_in():
    try:
        copal.make_edhoc("P-256")
    except ValueError:
        pytest.skip("built without GnuTLS")


def pair(curve, method, suite):
    c, of_c = copal.make_edhoc(curve, "the client", "c")
    s, of_s = copal.make_edhoc(curve, "the server", "s")
    common = {"method": method, "suite": suite}
    return (
        {**common, "private_key": c, "credential": of_c, "peer_credential": of_s},
        {**common, "private_key": s, "credential": of_s, "peer_credential": of_c},
    )


def within(seconds, talk):
    return asyncio.run(asyncio.wait_for(talk, seconds))


def serve_who(server):
    @server.serve("/who", secure=True)
    def who(req):
        return req.identity

    server.listen("coap://127.0.0.1:0")
    return server.addresses[0]


def test_the_first_request_brings_keys_and_handlers_see_who_asks():
    async def talk():
        ours, theirs = pair("P-256", 3, 2)
        async with copal.Endpoint(edhoc={"*": [theirs]}) as server:
            base = serve_who(server)
            async with copal.Endpoint(edhoc={base + "/": ours}) as client:
                res = await client.get(base + "/who")
                assert res.text == "the client"
                assert res.identity == "the server"

    within(30, talk())


def as_file(path, scope, keys):
    entry = {name: "0x" + v.hex() if isinstance(v, bytes) else v for name, v in keys.items()}
    path.write_text(json.dumps({scope: {"edhoc": entry}}))
    path.chmod(0o600)
    return str(path)


def test_a_credentials_file_has_keys_for_edhoc(tmp_path):
    async def talk():
        ours, theirs = pair("Ed25519", 0, 0)
        theirs["peer_credential"] = [theirs["peer_credential"]]
        theirs["peer_credential"] = ["0x" + c.hex() for c in theirs["peer_credential"]]
        server_file = as_file(tmp_path / "server.json", "*", theirs)
        async with copal.Endpoint(credentials=server_file) as server:
            base = serve_who(server)
            client_file = as_file(tmp_path / "client.json", base + "/", ours)
            async with copal.Endpoint(credentials=client_file) as client:
                assert (await client.get(base + "/who")).text == "the client"

    within(30, talk())


def test_mistakes_are_told(tmp_path):
    ours, _ = pair("P-256", 3, 2)
    with copal.BlockingEndpoint() as c:
        with pytest.raises(copal.Invalid, match="scope"):
            c.use_edhoc("http://h/", **ours)
        with pytest.raises(copal.Invalid, match="X25519"):
            c.use_edhoc("coap://h/", **{**ours, "suite": 0})
        with pytest.raises(copal.Error, match="peer_credential"):
            c.use_edhoc("coap://h/", **{**ours, "peer_credential": b""})
        with pytest.raises(TypeError):
            c.use_edhoc("*", key=b"x")
        with pytest.raises(ValueError):
            copal.make_edhoc("P-521")
        c.use_edhoc("coap://h/", **ours)
        c.forget("coap://h/")
        for name, value in (("metod", 1), ("method", "3"), ("private_key", 5), ("credential", {})):
            path = as_file(tmp_path / "bad.json", "coap://h/", {**ours, name: value})
            with pytest.raises(copal.Error, match="edhoc: " + name):
                c.use_file(path)
