"""Plain scripts: a loop of one's own, Ctrl-C, threads, exits."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import script

import copal

SERVER = """
import copal
c = copal.BlockingEndpoint(listen="coap://127.0.0.1:0")
c.serve("/x", lambda req: "x")
print(c.addresses[0], flush=True)
"""


def test_the_shortcuts_block():
    with copal.BlockingEndpoint(listen="coap://127.0.0.1:0") as server:
        server.serve("/x", any=lambda req: f"{req.code} {req.text}")
        uri = server.addresses[0] + "/x"
        copal.set_default(server)
        try:
            assert copal.get(uri).text == "GET "
            assert [f(uri, "b").text for f in (copal.put, copal.post, copal.fetch, copal.patch, copal.ipatch)] == [
                f"{m} b" for m in ("PUT", "POST", "FETCH", "PATCH", "iPATCH")
            ]
            assert copal.delete(uri).text == "DELETE "
            assert copal.request(copal.Message("GET", uri)).text == "GET "
            assert copal.ping(server.addresses[0])
            assert [r.text for _, r in copal.get_all([uri, uri])] == ["GET ", "GET "]
            copal.sleep(0.01)
        finally:
            copal.default().close()
    assert copal.default() is not server


def test_a_socket_changes_hands_and_what_comes_with_it():
    with copal.BlockingEndpoint(listen="coap://127.0.0.1:0") as first, copal.BlockingEndpoint() as heir:
        heir.serve("/t", lambda req: "heir")
        fd = first.hand_over(0)
        with pytest.raises(copal.Error, match="fewer"):
            first.hand_over(1)
        heir.take_over(fd)
        os.close(fd)
        assert heir.addresses == first.addresses
        assert heir.get(heir.addresses[0] + "/t", timeout=20).text == "heir"
        with pytest.raises(copal.Error, match="not a UDP socket"):
            heir.take_over(0)


def test_a_guarded_server_is_asked_as_any_other():
    body, asked = b"0123456789" * 10000, []

    def big(req):
        asked.append(req)
        return body

    with copal.BlockingEndpoint(listen="coap://127.0.0.1:0", guard_loopback=1, echo_factor=2) as server:
        server.serve("/big", big)
        assert server.get(server.addresses[0] + "/big").payload == body
    assert len(asked) == 2  # the beginning of it, and once known to be there all


@pytest.mark.parametrize("wait", ["c.forever()", "c.sleep(30)", "c.get('coap://127.0.0.1:9/', ignore_icmp=1)"])
def test_ctrl_c_interrupts_what_blocks(wait):
    text = SERVER + f"try:\n    {wait}\nexcept KeyboardInterrupt:\n    print('interrupted')\n    c.close()\n"
    child = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    try:
        child.stdout.readline()
        time.sleep(0.3)
        start = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"
        assert time.monotonic() - start < 0.5
        assert child.wait(3) == 0
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_an_interrupted_request_is_cancelled():
    with copal.BlockingEndpoint() as c:
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            c.get("coap://127.0.0.1:9/", ignore_icmp=1)
        assert c.stats.exchanges_open == 0 and not c.aio._open


@pytest.mark.parametrize(
    "end",
    [
        "",
        "c.aio.get('coap://127.0.0.1:9/')",
        "o = iter(c.observe(c.addresses[0] + '/x')); next(o)",
        "c.close(); c.close()",
    ],
)
def test_exit_with_open_handles_is_quiet(end):
    code, out, err = script(SERVER + end)
    assert (code, err) == (0, "")


def test_exit_of_an_asyncio_program_with_open_handles_is_quiet():
    code, _, err = script(
        """
import asyncio, copal
async def main():
    global c, r, o
    c = copal.Endpoint(listen="coap://127.0.0.1:0")
    c.serve("/x", lambda req: "x", observable=True)
    r = c.get("coap://127.0.0.1:9/", ignore_icmp=1)
    o = c.observe(c.addresses[0] + "/x")
    await o
asyncio.run(main())
"""
    )
    assert (code, err) == (0, "")


def test_a_forked_child_leaves_its_parents_endpoint_alone():
    code, out, err = script(
        SERVER
        + """
import os
uri = c.addresses[0] + "/x"
d = copal.default()
pid = os.fork()
if pid == 0:
    try:
        c.get(uri)
    except copal.Error as e:
        print(e.name, flush=True)
    print(copal.default() is not d, flush=True)
    del c
    raise SystemExit(0)
os.waitpid(pid, 0)
print(c.get(uri).text)
"""
    )
    assert (code, out.split()[1:], err) == (0, ["ESTATE", "True", "x"], "")


def test_each_thread_has_its_own_shortcuts():
    done = []

    def work():
        with copal.BlockingEndpoint(listen="coap://127.0.0.1:0") as c:
            c.serve("/x", lambda req: "x")
            done.append((id(copal.default()), [c.get(c.addresses[0] + "/x").text for _ in range(200)]))
        copal.default().close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(done) == 4 and all(texts == ["x"] * 200 for _, texts in done)


def test_other_threads_go_on_while_one_waits():
    counted = 0
    stop = False

    def count():
        nonlocal counted
        while not stop:
            counted += 1

    with copal.BlockingEndpoint() as c:
        t = threading.Thread(target=count)
        t.start()
        before = counted
        c.sleep(0.2)
        stop = True
        t.join()
    assert counted - before > 1000


def test_using_an_endpoint_from_a_second_thread_while_it_runs_is_an_error():
    errors = []

    def intrude(c):
        try:
            c.sleep(0)
        except copal.Error as e:
            errors.append(str(e))

    with copal.BlockingEndpoint() as c:
        t = threading.Timer(0.1, intrude, [c])
        t.start()
        c.sleep(0.3)
        t.join()
    assert len(errors) == 1 and "another thread" in errors[0]


def test_async_handlers_serve_while_something_waits():
    import asyncio

    with copal.BlockingEndpoint(listen="coap://127.0.0.1:0") as c:

        @c.serve("/slow")
        async def slow(req):
            await asyncio.sleep(0.05)
            return "slow"

        c.serve("/stop", post=lambda req: c.stop())
        assert c.get(c.addresses[0] + "/slow").text == "slow"
        c.after(0.05, lambda: c.aio.post(c.addresses[0] + "/stop"))
        c.forever()


def test_the_pending_handle_and_run():
    with copal.BlockingEndpoint(listen="coap://127.0.0.1:0") as c:
        c.serve("/x", lambda req: "x")
        request = c.aio.get(c.addresses[0] + "/x")
        assert "waiting" in repr(request)
        assert c.run(request).text == "x"


def test_what_an_endpoint_cannot_be_made_with_is_told():
    with pytest.raises(TypeError, match="nonsense"):
        copal.BlockingEndpoint(nonsense=1)
    with copal.BlockingEndpoint(listen="coap://127.0.0.1:0") as c, pytest.raises(copal.NetworkError) as e:
        copal.BlockingEndpoint(listen=c.addresses[0])
    assert e.value.name == "EINUSE"
