"""The programs of examples/python do what they say."""

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import EXAMPLES, run

import copal


def test_examples_are_short():
    for name in os.listdir(EXAMPLES):
        if name.endswith(".py") and name != "tour.py":  # which is a test as much
            with open(os.path.join(EXAMPLES, name)) as f:
                assert len(f.readlines()) < 60, name


@pytest.fixture
def started():
    """start(example, args...): a server on a free port; gives its URI."""
    children = []

    def start(name, *args):
        command = [sys.executable, os.path.join(EXAMPLES, name), *args, "coap://127.0.0.1:0"]
        child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        children.append(child)
        return child.stderr.readline().split()[-1]

    yield start
    for child in children:
        child.send_signal(signal.SIGINT)
    assert [child.wait(5) for child in children] == [0] * len(children)
    for child in children:
        assert child.stderr.read() == ""
        child.stderr.close()


def example(name, *args):
    return run(sys.executable, os.path.join(EXAMPLES, name), *args, timeout=20)


def test_the_server_example_with_the_client_examples(started):
    uri = started("server.py")
    assert example("get.py", uri + "/hello/you").stdout == "Hello, you!"
    failed = example("get.py", uri + "/nothing")
    assert failed.returncode == 1 and "4.04" in failed.stderr
    done = example("observe.py", uri + "/time", "2")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 2
    done = example("parallel.py", uri + "/time", uri + "/hello/x", "nonsense")
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 3
    assert copal.put(uri + "/note", "milk").code is copal.CHANGED and copal.get(uri + "/note").text == "milk"
    copal.default().close()


def test_the_workers_example(started):
    uri = started("workers.py", "3") + "/note"
    clients = [copal.BlockingEndpoint() for _ in range(12)]  # each at a port of its own
    notes = [iter(client.observe(uri)) for client in clients]
    assert {next(each).text for each in notes} == {"nothing yet"}
    assert copal.put(uri, "milk").code is copal.CHANGED
    assert {next(each).text for each in notes} == {"milk"}
    for client in clients:
        client.close()
    copal.default().close()


def test_the_slow_example(started):
    uri = started("slow.py")
    start = time.monotonic()
    assert example("get.py", uri + "/slow").stdout == "worth the wait"
    assert 2.9 < time.monotonic() - start < 6


def test_the_streaming_examples(started, tmp_path):
    body = os.urandom(20000)
    (tmp_path / "body").write_bytes(body)
    uri = started("stream.py", str(tmp_path / "body"))
    assert example("download.py", uri + "/file", str(tmp_path / "copy")).returncode == 0
    assert (tmp_path / "copy").read_bytes() == body
    with open(tmp_path / "body", "rb") as f:
        assert copal.put(uri + "/count", f).text == "20000 bytes"
    copal.default().close()


def test_the_bench_server(tmp_path):
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    child = subprocess.Popen([sys.executable, os.path.join(EXAMPLES, "bench_server.py"), str(port)])
    try:
        uri = f"coap://127.0.0.1:{port}"
        with copal.BlockingEndpoint(ignore_icmp=1, ack_timeout=0.1, max_retransmit=8) as c:
            assert c.get(uri + "/hello").payload == b"hello, world" == c.get(uri + "/async").payload
            assert len(c.get(uri + "/big").payload) == 1024
            assert c.put(uri + "/sink", b"x").code is copal.CHANGED
            seen = []
            for n in c.observe(uri + "/obs"):
                seen.append(n.text)
                if len(seen) == 2:
                    break
                c.put(uri + "/obs", b"")
            assert seen == ["value 000000", "value 000001"]
    finally:
        child.send_signal(signal.SIGINT)
        assert child.wait(5) == 0
