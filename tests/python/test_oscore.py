"""OSCORE from Python: use_oscore(), the store, who it is."""

import asyncio

import pytest

import copal

SECRET = b"sixteen bytes of"
OURS = {"secret": SECRET, "sender_id": b"c", "recipient_id": b"s"}
THEIRS = {"secret": SECRET, "sender_id": b"s", "recipient_id": b"c"}


@pytest.fixture(autouse=True)
def built_in():
    with copal.BlockingEndpoint() as c:
        try:
            c.use_oscore("*", **THEIRS, rederives=True)
        except copal.NotSupported:
            pytest.skip("built without GnuTLS")


def within(seconds, talk):
    return asyncio.run(asyncio.wait_for(talk, seconds))


def test_what_is_asked_is_protected_and_handlers_see_who_asks(tmp_path):
    async def talk():
        async with copal.Endpoint(store=tmp_path / "server", oscore={"*": [THEIRS]}) as server:

            @server.serve("/who", secure=True)
            def who(req):
                return req.identity

            server.listen("coap://127.0.0.1:0")
            base = server.addresses[0]
            async with copal.Endpoint(store=tmp_path / "client", oscore={base + "/": OURS}) as client:
                res = await client.get(base + "/who")
                assert res.text == "oscore:63"
                assert res.identity == "oscore:73"
            async with copal.Endpoint() as stranger:
                assert (await stranger.get(base + "/who")).code == copal.UNAUTHORIZED

    within(30, talk())


def test_mistakes_are_told(tmp_path):
    with copal.BlockingEndpoint() as c:
        with pytest.raises(copal.Error, match="store") as e:
            c.use_oscore("coap://h/", **OURS)
        assert e.value.name == "ESTATE"
        c.store(tmp_path / "state")
        with pytest.raises(copal.Invalid, match="scope"):
            c.use_oscore("http://h/", **OURS)
        with pytest.raises(copal.Invalid, match="the same"):
            c.use_oscore("*", secret=SECRET, sender_id="a", recipient_id="a")
        with pytest.raises(TypeError):
            c.use_oscore("*", secret=SECRET, sender="a")
        c.use_oscore("*", **THEIRS, id_context=b"")
        c.forget("*")
