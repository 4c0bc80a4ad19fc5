"""What `copal serve --test` sends over real ports to sockets that it knows
nothing of: one datagram to each, of no more than 136 bytes or three times what
was asked. RFC 9175 2.4."""

import itertools
import os
import re
import select
import socket
import subprocess
import time

import pytest

PROGRAM = os.environ.get("COPAL_BIN", "")
MOST = 136
LOWEST, HIGHEST = 1, 7  # GET to iPATCH

pytestmark = pytest.mark.skipif(
    not os.access(PROGRAM, os.X_OK), reason="no copal program"
)


@pytest.fixture
def server():
    process = subprocess.Popen(
        [PROGRAM, "serve", "--test", "--guard-loopback", "1", "--q-block", "1",
         "--ack-timeout", "0.1", "--listen", "coap://127.0.0.1:0"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    try:
        for line in process.stdout:
            found = re.search(r"coap://127\.0\.0\.1:(\d+)", line)
            if found:
                yield "127.0.0.1", int(found.group(1))
                break
        else:
            pytest.fail("it does not listen")
    finally:
        process.terminate()
        process.wait()


def nibble(n):
    if n < 13:
        return n, b""
    return (13, bytes([n - 13])) if n < 269 else (14, (n - 269).to_bytes(2, "big"))


def request(kind, code, path, options=(), payload=b""):
    segments = [(11, s.encode()) for s in path.split("/") if s]
    data, last = bytes([kind, code, 0x12, 0x34]), 0
    for number, value in sorted([*segments, *options], key=lambda o: o[0]):
        delta, more_delta = nibble(number - last)
        size, more_size = nibble(len(value))
        data += bytes([delta << 4 | size]) + more_delta + more_size + value
        last = number
    return data + (b"\xff" + payload if payload else b"")


QUESTIONS = [
    ((), b""),
    (((6, b""),), b""),                # Observe
    (((23, b"\x06"),), b""),           # Block2
    (((23, b"\x56"),), b""),
    (((27, b"\x08"),), b"x" * 16),     # Block1, more to come
    (((19, b"\x18"), (60, b"\xc8"), (292, b"t")), b"x" * 16),  # Q-Block1
    (((31, b"\x00"),), b""),           # Q-Block2
    (((15, b"rt=*"),), b""),
    (((65001, b"?"),), b"x"),
    (((35, b"coap://elsewhere/"),), b""),
]


def payload_of(data):
    """Options are walked over, for an Echo or ETag may hold a 0xFF of its own."""
    at = 4 + (data[0] & 15)
    while at < len(data) and data[at] != 0xFF:
        at, head = at + 1, (data[at] >> 4, data[at] & 15)
        size = head[1]
        for n in head:
            at += max(n - 12, 0)
        if size > 12:
            more = size - 12
            size = int.from_bytes(data[at - more : at], "big") + (13 if more == 1 else 269)
        at += size
    return data[at + 1 :]


def test_a_payload_begins_after_all_options():
    token, echo = b"\xff\x01", (252, b"\xff" * 20)
    data = request(0x50, 0x45, "", [(4, b"\xff"), echo, (23, b"\x08")], b"a\xffb")
    assert payload_of(bytes([data[0] | 2]) + data[1:4] + token + data[4:]) == b"a\xffb"
    assert payload_of(request(0x50, 0x45, "", [(2000, b"\xff" * 300)])) == b""


def links_of(server):
    """Paths, asked for in blocks that are small enough for anybody."""
    text, num = b"", 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.connect(server)
        while True:
            block = (num << 4 | 1).to_bytes(2, "big")
            data = bytearray(request(0x50, 1, ".well-known/core", [(23, block)]))
            data[2:4] = num.to_bytes(2, "big")
            s.send(data)
            answer = s.recv(2048)
            assert answer[1] == 0x45, answer.hex()
            part = payload_of(answer)
            text, num = text + part, num + 1
            if len(part) < 32:
                break
    return [p for p in re.findall(r"<(/[^>]*)>", text.decode()) if "{" not in p
            and "%7B" not in p]


def collect(sockets, seconds):
    """What came to each, until nothing did for so long."""
    heard = {s: [] for s in sockets}
    end = time.monotonic() + seconds
    with select.epoll() as poll:
        by_number = {s.fileno(): s for s in sockets}
        for number in by_number:
            poll.register(number, select.EPOLLIN)
        while (left := end - time.monotonic()) > 0:
            for number, _ in poll.poll(left):
                heard[by_number[number]].append(by_number[number].recv(4096))
    return heard


def test_a_fresh_port_gets_little_and_once(server):
    paths = [*links_of(server), "/.well-known/core", "/nothing", "/" + "long" * 60]
    assert len(paths) > 20
    methods = range(LOWEST, HIGHEST + 1)
    all_of_it = list(itertools.product(paths, methods, QUESTIONS))
    answered = 0
    for first in range(0, len(all_of_it), 400):
        asked = {}
        for i, (path, code, (options, payload)) in enumerate(all_of_it[first : first + 400]):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.connect(server)
            data = request(0x40 if i % 2 else 0x50, code, path, options, payload)
            s.send(data)
            asked[s] = (path, code, options, data)
        for s, heard in collect(asked, 0.4).items():
            what = asked[s]
            answers = [d for d in heard if d[1] != 0 and d[0] >> 4 & 3 != 0]
            if not (what[2] and what[2][0][0] == 6):
                assert heard == [d for d in heard if d[0] >> 4 & 3 != 0], what
            assert len(answers) <= 1, what
            assert sum(map(len, heard)) <= max(MOST, 3 * len(what[3])), what
            answered += len(answers)
            s.close()
    assert answered > len(all_of_it) / 2
