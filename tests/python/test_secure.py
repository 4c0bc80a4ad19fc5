"""Credentials, and CoAP over TLS with them."""

import asyncio
import os
import shutil
import subprocess

import copal
import pytest
from conftest import within

KEY = b"0123456789abcdef"


@pytest.fixture(autouse=True)
def built_in():
    with copal.BlockingEndpoint() as c:
        try:
            c.use_psk("coaps://h", "me", KEY)
        except copal.NotSupported:
            pytest.skip("built without GnuTLS")


async def served(client_psk, **credentials):
    """What /who and /secret say to a client with that key."""
    async with copal.Endpoint(**credentials) as server:
        server.serve("/who", lambda req: req.identity or "nobody")
        server.serve("/secret", lambda req: "treasure", secure=True)
        server.listen("coaps+tcp://127.0.0.1:0")
        base = server.addresses[0]
        async with copal.Endpoint(psk={base: client_psk}) as client:
            who = await client.get(base + "/who")
            secret = await client.get(base + "/secret")
            return who.text, secret.text


def test_a_key_and_its_name_and_nothing_else():
    psk = {"*": {"me": KEY, "you": b"another key"}}
    assert within(served(("me", KEY), psk=psk)) == ("me", "treasure")
    assert within(served(("me", KEY), psk={"*": ("me", KEY)})) == ("me", "treasure")
    with pytest.raises(copal.Error, match="the key the same") as e:
        within(served(("me", b"wrong"), psk=psk))
    assert e.value.name == "EAUTH"


def test_a_server_looks_keys_up():
    assert within(served(("me", KEY), psk=lambda id: KEY if id == "me" else None)) == ("me", "treasure")
    with pytest.raises(copal.Error) as e:
        within(served(("you", KEY), psk=lambda id: KEY if id == "me" else None))
    assert e.value.name == "EAUTH"


def test_a_look_up_may_wait():
    async def look_up(identity):
        await asyncio.sleep(0.01)
        return KEY

    assert within(served(("anybody", KEY), psk=look_up)) == ("anybody", "treasure")


def test_public_keys_by_look_up(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")

    def pair(name):
        key = subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"],
                             check=True, capture_output=True).stdout
        public = subprocess.run(["openssl", "ec", "-pubout"], input=key, check=True, capture_output=True).stdout
        return key.decode(), public.decode()

    async def talk(answer):
        key, public = pair("server")
        own, own_public = pair("client")
        asked = []

        def look_up(name):
            asked.append(name)
            return answer

        async with copal.Endpoint(cert={"*": {"cert": public, "key": key}}, rpk=look_up) as server:
            server.serve("/who", lambda req: req.identity or "nobody")
            server.listen("coaps+tcp://127.0.0.1:0")
            base = server.addresses[0]
            async with copal.Endpoint(cert={base: {"cert": own_public, "key": own, "trusted": public}}) as client:
                return (await client.get(base + "/who")).text, asked

    who, asked = within(talk(True))
    assert asked == [who] and who.startswith("ni:///sha-256;")
    with pytest.raises(copal.Error) as e:
        within(talk(None))
    assert e.value.name == "EAUTH"


def test_mistakes_are_told(tmp_path):
    with copal.BlockingEndpoint() as c:
        c.use_psk("coaps://h", "me", KEY)
        c.forget("coaps://h")
        with pytest.raises(copal.Error) as e:
            c.forget("coaps://h")
        assert e.value.name == "ENOENT"
        with pytest.raises(copal.Invalid, match="coaps://"):
            c.use_psk("coap://h", "me", KEY)
        with pytest.raises(ValueError, match="oscore"):
            c.use_lookup("oscore", print)
        with pytest.raises(TypeError):
            c.use_lookup("psk", "key")
        with pytest.raises(copal.Error) as e:
            c.use_cert("*", cert="junk", key="junk")
        assert e.value.name == "EFORMAT"
        path = tmp_path / "creds.json"
        path.write_text('{"*": {"psk-id": "a", "psk": "b"}}')
        os.chmod(path, 0o644)
        with pytest.raises(copal.Error, match="chmod 600") as e:
            c.use_file(path)
        assert e.value.name == "EPERM"
        os.chmod(path, 0o600)
        c.use_file(path)


def test_a_directory_for_state_is_one_endpoint_s_alone(tmp_path):
    with copal.BlockingEndpoint(store=tmp_path / "state") as one:
        assert oct((tmp_path / "state").stat().st_mode & 0o777) == "0o700"
        with pytest.raises(copal.Error, match="state") as e:
            copal.BlockingEndpoint(store=tmp_path / "state")
        assert e.value.name == "EINUSE"
        with pytest.raises(copal.Error) as e:
            one.store(str(tmp_path / "state"))
        assert e.value.name == "EEXIST"
    with copal.BlockingEndpoint() as other:
        with pytest.raises(TypeError, match="get, put and delete"):
            other.store(7)
        other.store(tmp_path / "state")


class Keeper:
    def __init__(self):
        self.kept, self.calls = {}, []

    def get(self, path):
        self.calls.append("get")
        return self.kept.get(path)

    async def put(self, path, value):
        self.calls.append("put")
        await asyncio.sleep(0.01)
        self.kept[path] = value

    def delete(self, path):
        self.calls.append("delete")
        del self.kept[path]


def test_state_may_be_kept_by_an_object():
    keeper = Keeper()

    async def talk():
        async with copal.Endpoint(psk={"coaps://": ("me", KEY)}) as client:
            base = "coaps://127.0.0.1:0"
            for saved in (0, 1, 1):
                async with copal.Endpoint(psk={"*": ("me", KEY)}, store=keeper) as server:
                    server.serve("/who", lambda req: req.identity)
                    server.listen(base)
                    base = server.addresses[0]
                    assert (await client.get(base + "/who")).text == "me"
                    assert f'handshakes_total{{result="saved"}} {saved}' in server.metrics_text()
                    while not keeper.kept:
                        await asyncio.sleep(0.01)

    within(talk(), 30)
    (path,) = keeper.kept
    assert path.startswith("dtls/")
    assert keeper.calls[:3] == ["put", "get", "put"]
