"""The passenger of an asyncio loop, over loopback: every trap of embedding."""

import asyncio
import gc
import socket
import time
import warnings

import pytest
from conftest import real_server, script, within

import copal
from copal import _copal


def test_client_and_server_share_one_endpoint_and_loop():
    async def main():
        async with copal.Endpoint() as c:
            _, base = await real_server(c)
            c.serve("/hello", lambda req: "hi " + req.remote.hostinfo)
            r = await c.get(base + "/hello")
            assert r.text.startswith("hi 127.0.0.1:") and not r.remote.is_multicast
            assert r.remote.scheme == "coap" and r.local_address.host == "127.0.0.1"

    within(main())


def test_nothing_turns_while_idle():
    async def main():
        async with copal.Endpoint(listen="coap://127.0.0.1:0") as c:
            c.serve("/x", lambda req: "x")
            await c.get(c.addresses[0] + "/x")
            await asyncio.sleep(0.1)
            steps, cpu = c._steps, time.process_time()
            await asyncio.sleep(0.5)
            assert c._steps - steps <= 2
            assert time.process_time() - cpu < 0.1

    within(main())


def test_a_new_deadline_shortens_the_wait():
    async def main():
        async with copal.Endpoint() as c:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
                mute.bind(("127.0.0.1", 0))
                await asyncio.sleep(0.3)  # the clock is stale by now
                start = time.monotonic()
                with pytest.raises(copal.Timeout):
                    await c.get(f"coap://127.0.0.1:{mute.getsockname()[1]}/", timeout=0.1)
                assert 0.09 <= time.monotonic() - start < 1

    within(main())


def test_a_refused_port_is_known_within_milliseconds_and_has_a_hint():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]

    async def main():
        async with copal.Endpoint() as c:
            start = time.monotonic()
            with pytest.raises(copal.Refused) as e:
                await c.get(f"coap://127.0.0.1:{port}/")
            assert isinstance(e.value, ConnectionRefusedError) and e.value.hint
            assert time.monotonic() - start < 0.5

    within(main())


def test_an_unresolvable_name_is_a_network_error():
    async def main():
        async with copal.Endpoint() as c:
            with pytest.raises(copal.NetworkError) as e:
                await c.get("coap://no-label-of-a-name-in-the-dns-is-longer-than-sixty-three-characters/", timeout=15)
            assert e.value.name == "ERESOLVE"

    within(main())


def test_200_slow_handlers_run_in_parallel():
    async def main():
        async with copal.Endpoint(nstart=300) as c:
            _, base = await real_server(c)

            @c.serve("/slow/{n}")
            async def slow(req):
                await asyncio.sleep(0.1)
                return req.params["n"]

            start = time.monotonic()
            all_of_them = await asyncio.gather(*(c.get(f"{base}/slow/{n}") for n in range(200)))
            assert [r.text for r in all_of_them] == [str(n) for n in range(200)]
            assert time.monotonic() - start < 3

    within(main())


def test_task_groups_gather_wait_for_and_timeout_take_requests():
    async def main():
        async with copal.Endpoint(nstart=8) as c:
            _, base = await real_server(c)
            c.serve("/x", lambda req: "x")

            @c.serve("/never")
            async def never(req):
                await asyncio.sleep(1000)

            async with asyncio.TaskGroup() as g:
                tasks = [g.create_task(one(c, base + "/x")) for _ in range(3)]
            assert [t.result() for t in tasks] == ["x"] * 3
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(c.get(base + "/never"), 0.05)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await c.get(base + "/never")
            done, pending = await asyncio.wait([c.get(base + "/x"), c.get(base + "/never")], timeout=0.2)
            assert [r.result().text for r in done] == ["x"]
            for request in pending:
                assert request.cancel()
            with pytest.raises(ExceptionGroup):
                async with asyncio.TaskGroup() as g:
                    g.create_task(one(c, base + "/never"))
                    g.create_task(one(c, "nonsense"))
            assert not c._open

    async def one(c, uri):
        return (await c.get(uri)).text

    within(main())


def test_closing_fails_what_is_pending_with_a_connection_error():
    async def main():
        c, server = copal.Endpoint(), copal.Endpoint()
        _, base = await real_server(server)

        @server.serve("/never")
        async def never(req):
            await asyncio.sleep(1000)

        request = c.get(base + "/never")
        notes = asyncio.ensure_future(collect(c.observe(base + "/never")))
        await asyncio.sleep(0.05)
        start = time.monotonic()
        await c.close()
        with pytest.raises(ConnectionError, match="closed"):
            await request
        with pytest.raises((copal.Error, asyncio.CancelledError)):
            await notes
        await server.close()
        assert time.monotonic() - start < 3 and c.is_closed
        with pytest.raises(copal.Closed):
            c.get(base + "/x")
        await c.close()

    async def collect(observation):
        return [n async for n in observation]

    within(main())


def test_a_closing_server_sends_the_answers_it_owes():
    async def main():
        async with copal.Endpoint() as c:
            server, base = await real_server()

            @server.serve("/soon")
            async def soon(req):
                await asyncio.sleep(0.2)
                return "kept"

            request = c.get(base + "/soon")
            await asyncio.sleep(0.05)
            await server.close(2)
            assert (await request).text == "kept"

    within(main())


def test_a_handler_may_close_its_endpoint():
    async def main():
        server, base = await real_server()
        client = copal.Endpoint()

        @server.serve("/stop", method="POST")
        async def stop(req):
            await server.close(0)

        # What it returns still leaves: the end comes after the callback.
        assert (await client.post(base + "/stop")).code is copal.CHANGED
        await client.close()
        assert server.is_closed

    within(main())


def test_repeated_runs_leave_nothing_alive(nothing_left):
    async def main():
        async with copal.Endpoint() as c:
            _, base = await real_server(c)
            c.serve("/x", lambda req: c.is_closed and "x" or b"y" * 3000)
            t = c.value("/temp", 1)
            await asyncio.gather(*(c.get(base + "/x", payload=None) for _ in range(5)))
            async for n in c.observe(base + "/temp"):
                if n.text == "2":
                    break
                t.value = 2

    for _ in range(5):
        within(main())


def test_memory_returns_to_where_it_was():
    async def main():
        async with copal.Endpoint() as c:
            _, base = await real_server(c)
            c.serve("/x", lambda req: b"y" * 3000)
            c.tune(dedup_memory=4096)
            sizes = []
            for _ in range(4):
                for _ in range(50):
                    await c.get(base + "/x")
                gc.collect()
                sizes.append(c.stats.memory)
            assert sizes[-1] <= sizes[0] + 20000, sizes

    within(main())


def test_an_endpoint_never_closed_is_collected_with_its_loop(nothing_left):
    async def main():
        c, base = await real_server()
        c.serve("/x", lambda req: str(c))  # the handler holds the endpoint
        await c.get(base + "/x")
        c.get("coap://127.0.0.1:9/never")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        within(main())
        gc.collect()


def test_an_unclosed_endpoint_warns():
    async def main():
        copal.Endpoint()

    with pytest.warns(ResourceWarning, match="unclosed <copal.Endpoint"):
        within(main())
        gc.collect()


def test_an_endpoint_made_outside_a_loop_attaches_at_first_use():
    c = copal.Endpoint(listen="coap://127.0.0.1:0")
    c.serve("/x", lambda req: "x")
    with pytest.raises(copal.Error, match="BlockingEndpoint"):
        c.get(c.addresses[0] + "/x")

    async def main():
        return (await c.get(c.addresses[0] + "/x")).text

    assert within(main()) == "x"
    assert within(main()) == "x"  # another loop, the first is closed
    within(c.close())


def test_two_loops_cannot_share_an_endpoint():
    async def other(c):
        with pytest.raises(copal.Error, match="another event loop"):
            c.get("coap://localhost/")

    async def main():
        async with copal.Endpoint() as c:
            await asyncio.to_thread(asyncio.run, other(c))

    within(main())


def test_blocking_calls_in_a_loop_say_what_to_use():
    async def main():
        with pytest.raises(copal.Error, match="copal.Endpoint") as e:
            copal.get("coap://localhost/")
        assert e.value.name == "ESTATE"
        with pytest.raises(copal.Error):
            copal.BlockingEndpoint()

    within(main())


def test_exceptions_in_callbacks_reach_the_loops_handler():
    heard = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: heard.append(str(context["exception"])))
        async with copal.Endpoint() as c:
            _, base = await real_server(c)
            c.serve("/x", lambda req: 1 / 0)
            c.serve("/y", lambda req: b"y" * 3000)
            assert (await c.get(base + "/x")).code is copal.INTERNAL_ERROR
            await c.get(base + "/y", progress=lambda done, total: {}["progress"])
            c.after(0, lambda: {}["timer"])
            c.trace("wire", lambda e: {}["trace"])
            await c.get(base + "/y")
            await asyncio.sleep(0.05)

    within(main())
    assert "division by zero" in heard[0]
    assert {"'progress'", "'timer'", "'trace'"} <= set(heard)


def test_cancelling_inside_callbacks_is_safe():
    async def main():
        async with copal.Endpoint(nstart=4) as c:
            _, base = await real_server(c)
            requests = []

            def handler(req):
                for r in requests:
                    r.cancel()
                return "x"

            c.serve("/x", handler)
            requests += [c.get(base + "/x") for _ in range(4)]
            results = await asyncio.gather(*requests, return_exceptions=True)
            assert any(isinstance(r, asyncio.CancelledError) for r in results)
            one = c.get(base + "/x", sink=lambda piece: one.cancel())
            with pytest.raises(asyncio.CancelledError):
                await one

    within(main())


def test_keyboard_interrupt_and_system_exit_leave_through_the_loop():
    for e in (KeyboardInterrupt, SystemExit):

        async def main(e=e):
            async with copal.Endpoint() as c:
                _, base = await real_server(c)

                def handler(req):
                    raise e

                c.serve("/x", handler)
                await c.get(base + "/x", timeout=2)

        with pytest.raises(e):
            asyncio.run(main())


def test_a_plain_callback_of_the_module_reports_what_it_raises(capsys):
    import sys

    heard = []
    before, sys.unraisablehook = sys.unraisablehook, lambda u: heard.append(str(u.exc_value))
    try:
        h = _copal.endpoint()
        _copal.after(h, 0, lambda kind: {}["plain"])
        _copal.step(h)
        _copal.step(h)
        _copal.free(h)
    finally:
        sys.unraisablehook = before
    assert heard == ["'plain'"]


def test_uvloop_is_tolerated():
    pytest.importorskip("uvloop")
    code, out, err = script(
        """
import asyncio, uvloop, copal
async def main():
    async with copal.Endpoint(listen="coap://127.0.0.1:0", nstart=100) as c:
        @c.serve("/x")
        async def x(req):
            await asyncio.sleep(0.02)
            return "x"
        uri = c.addresses[0] + "/x"
        print(len([r.text for r in await asyncio.gather(*(c.get(uri) for _ in range(50)))]))
        steps = c._steps
        await asyncio.sleep(0.3)
        print(c._steps - steps <= 2)
        try:
            await asyncio.wait_for(c.get(uri), 0.001)
        except TimeoutError:
            print("timeout")
uvloop.install()
asyncio.run(main())
"""
    )
    assert (code, out.split(), err) == (0, ["50", "True", "timeout"], "")


def test_it_works_in_the_asyncio_repl():
    import subprocess
    import sys

    lines = (
        "import copal\n"
        "c = copal.Endpoint(listen='coap://127.0.0.1:0')\n"
        "c.serve('/x', lambda req: 'from the repl') and None\n"
        "print((await c.get(c.addresses[0] + '/x')).text)\n"
        "await c.close()\n"
    )
    done = subprocess.run([sys.executable, "-m", "asyncio"], input=lines, capture_output=True, text=True, timeout=20)
    assert "from the repl" in done.stdout


def test_while_it_is_busy_the_loop_does_all_the_rest():
    """Each request brings the next, eight at a time: turns follow each other without
    rounds of the loop, until it has anything else to do."""
    loop = asyncio.new_event_loop()
    ours, other = socket.socketpair()
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    count, rounds, told = 0, 0, {}

    def tell(what):
        told.setdefault(what, count)

    def select(timeout=None, select=loop._selector.select):
        nonlocal rounds
        rounds += 1
        return select(timeout)

    def send():
        sender.sendto(b"\x40\x01" + (count & 0xFFFF).to_bytes(2, "big") + b"\xb1t", port)

    def handler(req):
        nonlocal count
        count += 1
        if count == 1000:
            loop.call_soon(tell, "soon")
        elif count == 2000:
            loop.call_later(0, tell, "later")
        elif count == 3000:
            other.send(b"x")
        elif count == 4000:
            loop.stop()
        send()

    async def begin():
        nonlocal port
        c = copal.Endpoint(listen="coap://127.0.0.1:0")
        c.serve("/t", handler)
        port = ("127.0.0.1", int(c.addresses[0].rpartition(":")[2]))
        return c

    port = None
    try:
        loop._selector.select = select
        loop.add_reader(ours, lambda: tell("read") or loop.remove_reader(ours))
        c = loop.run_until_complete(begin())
        for count in range(8):
            send()
        count = 8
        loop.call_later(60, loop.stop)  # a datagram may be lost
        rounds, steps = 0, c._steps
        loop.run_forever()
        assert 4000 <= count < 4100
        assert set(told) == {"soon", "later", "read"}
        for what, since in ("soon", 1000), ("later", 2000), ("read", 3000):
            assert since <= told[what] < since + 100, told
        assert rounds < (c._steps - steps) / 4
        loop.set_debug(True)
        for count in range(4100, 4108):
            send()
        loop.call_later(0.1, loop.stop)
        rounds, steps = 0, c._steps
        loop.run_forever()
        assert rounds >= c._steps - steps  # where callbacks are timed it sees each turn
        loop.set_debug(False)
        loop.run_until_complete(c.close())
    finally:
        loop.close()
        for s in (ours, other, sender):
            s.close()
