"""16 MiB each way: the body arrives whole, and neither side holds more of it
than a few blocks."""

import hashlib

import pytest

import copal
from conftest import IS_QUARANTINED, real_server, resident, within

SIZE = (4 if IS_QUARANTINED else 16) << 20  # a sanitizer makes it slow
GROWTH = 2 << 20
PATIENCE = 8  # of 16,384 blocks one is lost five times in a row too easily


class Body:
    """A file that is nowhere in whole; a block in the wrong place is seen."""

    turns = bytes(i % 251 for i in range(251 * 6))

    def __init__(self):
        self.at = 0

    def read(self, n):
        piece = self.turns[self.at % 251 :][: min(n, SIZE - self.at)]
        self.at += len(piece)
        return piece

    def seek(self, at):
        self.at = at

    def tell(self):
        return self.at

    def seekable(self):
        return True


def expected():
    whole, body = hashlib.sha256(), Body()
    while piece := body.read(1024):
        whole.update(piece)
    return whole.hexdigest()


class Meter:
    """Hashes what it is given, and sees how this process grows meanwhile,
    behind the first 2 MiB."""

    def __init__(self):
        self.hash = hashlib.sha256()
        self.size = self.growth = 0
        self.before = None

    def write(self, piece):
        self.hash.update(piece)
        self.size += len(piece)
        if self.size % (1 << 18) == 0 and self.size >= 2 << 20:
            now = resident()
            self.before = self.before or now
            self.growth = max(self.growth, now - self.before)

    def check(self):
        assert self.size == SIZE
        assert self.hash.hexdigest() == expected()
        assert IS_QUARANTINED or self.growth < GROWTH


@pytest.fixture
def lossy(copal_sim):
    copal_sim.keep(0)
    copal_sim.set_path(delay=0.02, loss=5)
    server, client = copal_sim.endpoint("server"), copal_sim.endpoint("client")
    server.tune(max_retransmit=PATIENCE)
    return server, client


def serve_long(server, meter):
    @server.serve("/long")
    def long(req):
        return copal.Response(Body(), etag=b"1")

    @server.serve("/long", method="PUT", streamed=True)
    async def keep(req):
        async for piece in req.chunks():
            meter.write(piece)
        return copal.CHANGED


def test_a_download_of_16_mib_through_5_percent_loss(lossy):
    server, client = lossy
    meter = Meter()
    serve_long(server, meter)
    r = client.get("coap://server/long", sink=meter, max_retransmit=PATIENCE)
    assert r.code is copal.CONTENT
    meter.check()


def test_an_upload_of_16_mib_through_5_percent_loss(lossy):
    server, client = lossy
    meter = Meter()
    serve_long(server, meter)
    r = client.put("coap://server/long", Body(), max_retransmit=PATIENCE)
    assert r.code is copal.CHANGED
    meter.check()


def test_both_over_loopback():
    async def play():
        server, base = await real_server()
        async with server, copal.Endpoint() as client:
            meter = Meter()
            serve_long(server, meter)
            r = await client.put(base + "/long", Body())
            assert r.code is copal.CHANGED
            meter.check()
            meter = Meter()
            r = await client.get(base + "/long", sink=meter)
            assert r.code is copal.CONTENT
            meter.check()

    within(play(), 100)
