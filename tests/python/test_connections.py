"""coap+tcp and coap+ws over loopback, beside a stranger who speaks by hand."""

import asyncio
import base64
import hashlib
import os

import pytest
from conftest import within

import copal

CSM = b"\x00\xe1"
GET_X = b"\x21\x01\x07\xb1x"  # token 07, Uri-Path: x


def has_ws():
    """A copal without GnuTLS and wslay has none."""
    with copal.BlockingEndpoint() as c:
        try:
            c.listen("coap+ws://127.0.0.1:0")
        except copal.NotSupported:
            return False
    return True


needs_ws = pytest.mark.skipif(not has_ws(), reason="built without GnuTLS and wslay")
SCHEMES = ["coap+tcp", pytest.param("coap+ws", marks=needs_ws)]


async def server(c, scheme):
    """Listens, and gives host and port."""
    c.serve("/x", lambda req: "here")
    c.listen(f"{scheme}://127.0.0.1:0")
    return c.addresses[0], int(c.addresses[0].rsplit(":", 1)[1])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_only_the_uri_changes(scheme):
    async def main():
        async with copal.Endpoint() as s, copal.Endpoint() as c:
            base, _ = await server(s, scheme)
            value = s.value("/v", 1)
            r = await c.get(base + "/x")
            assert r.text == "here" and r.type is None and r.mid is None
            assert r.remote.scheme == scheme
            big = os.urandom(300_000)
            s.serve("/big", put=lambda req: req.payload)
            assert (await c.put(base + "/big", big)).payload == big
            seen = []
            async for note in c.observe(base + "/v"):
                seen.append(note.text)
                if len(seen) == 3:
                    break
                value.value += 1
            assert seen == ["1", "2", "3"]
            r = await asyncio.gather(*(c.get(base + "/x") for _ in range(100)))
            assert len(r) == 100

    within(main())


def test_a_stranger_on_tcp_is_answered_and_its_junk_aborted():
    async def main():
        async with copal.Endpoint() as s:
            _, port = await server(s, "coap+tcp")
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(CSM + GET_X)
            assert (await reader.readexactly(7))[1] == 0xE1
            assert (await reader.readexactly(9))[-4:] == b"here"
            writer.write(b"\x0f")
            rest = await reader.read()
            assert b"\xe5" in rest and b"malformed" in rest
            writer.close()

    within(main())


# ---- WebSocket by hand ---------------------------------------------------------


def upgrade(port, *more, path="/.well-known/coap", key="dGhlIHNhbXBsZSBub25jZQ==", host=None):
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host or f'127.0.0.1:{port}'}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: coap",
        f"Sec-WebSocket-Key: {key}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def frame(data, opcode=2, fin=True, masked=True):
    head = bytes([(0x80 if fin else 0) | opcode])
    size = len(data)
    head += bytes([(0x80 if masked else 0) | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    if not masked:
        return head + data
    mask = b"\x01\x02\x03\x04"
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data))


async def read_frame(reader):
    first, size = await reader.readexactly(2)
    assert size < 126
    return first & 15, await reader.readexactly(size)


def test_what_a_server_does_not_take_is_not_sent_and_said_so():
    async def says_nothing_of_itself(reader, writer):
        writer.write(CSM)  # so 1152 bytes, and no blocks: RFC 8323 5.3
        await reader.read()
        writer.close()

    async def main():
        server = await asyncio.start_server(says_nothing_of_itself, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with copal.Endpoint() as c:
            with pytest.raises(copal.Error, match="longer than the server takes"):
                await c.put(f"coap+tcp://127.0.0.1:{port}/x", bytes(2000))
        server.close()

    within(main())


async def handshake(port, *more, **what):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(upgrade(port, *more, **what))
    head = await reader.readuntil(b"\r\n\r\n")
    return reader, writer, head.decode()


@needs_ws
def test_the_key_is_answered_as_rfc_6455_says():
    async def main():
        async with copal.Endpoint() as s:
            _, port = await server(s, "coap+ws")
            key = base64.b64encode(os.urandom(16)).decode()
            _, writer, head = await handshake(port, key=key)
            digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            assert head.startswith("HTTP/1.1 101 ")
            assert f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n" in head
            assert "Sec-WebSocket-Protocol: coap\r\n" in head
            writer.close()

    within(main())


@needs_ws
def test_a_message_may_come_in_fragments_with_pings_between():
    async def main():
        async with copal.Endpoint() as s:
            _, port = await server(s, "coap+ws")
            reader, writer, _ = await handshake(port)
            assert (await read_frame(reader))[1][:2] == CSM
            writer.write(frame(CSM))
            get = b"\x01\x01\x07\xb1x"
            writer.write(frame(get[:2], fin=False) + frame(b"hi", opcode=9) + frame(get[2:], opcode=0))
            assert await read_frame(reader) == (10, b"hi")  # its Pong
            opcode, answer = await read_frame(reader)
            assert opcode == 2 and answer[-4:] == b"here"
            writer.write(frame(b"\x03\xe8", opcode=8))
            assert (await read_frame(reader))[0] == 8
            assert await reader.read() == b""
            writer.close()

    within(main())


@needs_ws
@pytest.mark.parametrize(
    "bad",
    [
        frame(CSM, masked=False),
        frame(b"text", opcode=1),
        frame(CSM, opcode=3),
        b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04",  # 2^63 - 1 bytes to come
        b"\x82\xff\x00\x00\x00\x00\x7f\xff\xff\xff\x01\x02\x03\x04",  # 2 GiB
        frame(b"x" * 125 + b"y", opcode=9),  # a Ping longer than one may be
    ],
    ids=["unmasked", "text", "opcode 3", "2^63", "2 GiB", "long ping"],
)
def test_a_bad_frame_ends_the_connection(bad):
    async def main():
        async with copal.Endpoint() as s:
            _, port = await server(s, "coap+ws")
            reader, writer, _ = await handshake(port)
            before = s.stats.memory
            writer.write(bad)
            await asyncio.wait_for(reader.read(), 4)
            assert s.stats.memory <= before + 4096
            writer.close()
            assert (await s.get(s.addresses[0] + "/x")).text == "here"

    within(main())


@needs_ws
def test_pages_of_foreign_origins_are_refused():
    async def main():
        async with copal.Endpoint() as s:
            _, port = await server(s, "coap+ws")
            for origin, status in [
                ("https://evil.example", 403),
                ("null", 403),
                (f"http://127.0.0.1:{port}", 101),
                ("https://good.example", 403),
            ]:
                _, writer, head = await handshake(port, f"Origin: {origin}")
                assert head.startswith(f"HTTP/1.1 {status} "), origin
                writer.close()
            s.allow_origin("https://good.example")
            _, writer, head = await handshake(port, "Origin: https://good.example")
            assert head.startswith("HTTP/1.1 101 ")
            writer.close()
            with pytest.raises(ValueError):
                s.allow_origin("good.example")

    within(main())


@needs_ws
def test_own_pages_connect_by_names_that_are_known():
    async def main():
        async with copal.Endpoint() as s:
            _, port = await server(s, "coap+ws")
            page = "Origin: http://device.example"
            for status in (403, 101):
                _, writer, head = await handshake(port, page, host="device.example")
                assert head.startswith(f"HTTP/1.1 {status} ")
                writer.close()
                s.allow_host("device.example")
            with pytest.raises(ValueError):
                s.allow_host("http://device.example")

    within(main())


@needs_ws
@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        (b"GET /.well-known/coap HTTP/1.1\r\nHost: h\r\n\r\n", 426),
        (b"POST /.well-known/coap HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 5000, 431),
    ],
    ids=["404", "426", "405", "400", "431"],
)
def test_who_wants_something_else_is_told(head, status):
    async def main():
        async with copal.Endpoint() as s:
            _, port = await server(s, "coap+ws")
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head)
            answer = await asyncio.wait_for(reader.read(), 4)
            assert answer.startswith(f"HTTP/1.1 {status} ".encode())
            writer.close()

    within(main())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_server_that_comes_back_is_watched_again(scheme):
    async def main():
        async with copal.Endpoint() as c:
            s = copal.Endpoint()
            s.value("/v", "one")
            s.listen(f"{scheme}://127.0.0.1:0")
            base = s.addresses[0]
            told = []
            async for note in c.watch(base + "/v"):
                told.append(note.event)
                if note.event == "value" and note.text == "one":
                    await s.close()
                    s = copal.Endpoint()
                    s.value("/v", "two")
                    s.listen(base)
                if note.event == "value" and note.text == "two":
                    break
            # One, its server's farewell, silence, two.
            assert told == ["value", "value", "silent", "resumed", "value"]
            await s.close()

    within(main())
