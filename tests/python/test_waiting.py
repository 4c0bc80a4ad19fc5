"""Who waits for a request: the functions of add_done_callback(), which C calls in
the turn that brings the response, and the loop in every other case."""

import asyncio
import contextvars

import copal
import pytest
from conftest import script

T, NEVER = "coap://server/t", "coap://server/never"
NAME = contextvars.ContextVar("name", default="")


async def never(req):
    await asyncio.sleep(3600)


@pytest.fixture
def client(pair):
    sim, server, client = pair
    server.serve("/t", lambda req: "t")
    server.serve("/kept", lambda req: copal.Response("kept", max_age=60))
    server.serve("/never", never)
    return client.aio


def test_those_who_wait_are_called_in_order_once_each_in_their_contexts(pair, client):
    heard = []

    async def main():
        request = client.get(T)
        for i in range(3):
            NAME.set(f"n{i}")
            request.add_done_callback(lambda r, i=i: heard.append((i, NAME.get(), r.result().text)))
        other = contextvars.copy_context()
        other.run(NAME.set, "other")
        request.add_done_callback(lambda r: heard.append((3, NAME.get(), r.result().text)), context=other)
        assert request.add_done_callback(heard.append, context=None) is None
        assert heard == []
        assert (await request).text == "t"
        await asyncio.sleep(0)
        return request

    request = pair[0].run(main())
    assert heard == [(0, "n0", "t"), (1, "n1", "t"), (2, "n2", "t"), (3, "other", "t"), request]


def test_one_added_to_what_is_over_is_called_by_the_loop(pair, client):
    async def main():
        request, heard = client.get(T), []
        await request
        request.add_done_callback(heard.append)
        assert heard == []
        await asyncio.sleep(0)
        assert heard == [request]

    pair[0].run(main())


def test_nobody_is_called_from_within_the_call_that_ends_a_request(pair, client):
    async def main():
        heard = []
        for end in (
            lambda r: r.cancel(),
            lambda r: r.set_result(None),
            lambda r: r.set_exception(ValueError("mine")),
        ):
            request = client.get(T)
            request.add_done_callback(heard.append)
            request.add_done_callback(heard.append)
            end(request)
            assert heard == [] and request.done()
            await asyncio.sleep(0)
            assert heard == [request, request]
            heard.clear()
            assert request.cancelled() or request.exception() or request.result() is None
        await asyncio.sleep(10)
        assert heard == []

    pair[0].run(main())


def test_one_that_is_removed_is_not_called(pair, client):
    async def main():
        heard = []
        request = client.get(T)
        assert request.remove_done_callback(heard.append) == 0
        one, two, three = ((lambda r, i=i: heard.append(i)) for i in range(3))
        for fn in (one, two, one, three):
            request.add_done_callback(fn)
        assert request.remove_done_callback(one) == 2
        assert request.remove_done_callback(one) == 0
        request.add_done_callback(one)
        await request
        await asyncio.sleep(0)
        assert heard == [1, 2, 0]

    pair[0].run(main())


def test_responses_and_failures_are_told_in_the_order_in_which_they_came(pair, client):
    heard = []

    async def main():
        over = [client.get(uri) for uri in (T, "no uri", T, "coap://server/x", "nor this", T)]
        for i, request in enumerate(over):
            request.add_done_callback(lambda r, i=i: heard.append((i, r.exception() is None)))
        await asyncio.wait(over)
        await asyncio.sleep(0)

    pair[0].run(main())
    failed, came = [i for i, well in heard if not well], [i for i, well in heard if well]
    assert (failed, came) == ([1, 4], [0, 2, 3, 5])
    assert heard[:2] == [(1, False), (4, False)]


def test_what_one_raises_is_told_the_loop_and_the_others_are_called(pair, client):
    told, heard = [], []

    def cancelled(request):
        raise asyncio.CancelledError

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        request = client.get(T)
        request.add_done_callback(heard.append)
        request.add_done_callback(lambda r: 1 / 0)
        request.add_done_callback(cancelled)
        request.add_done_callback(heard.append)
        await request
        await asyncio.sleep(0)
        assert heard == [request, request]
        assert [type(c["exception"]) for c in told] == [ZeroDivisionError, asyncio.CancelledError]
        assert told[0]["message"].startswith("Exception in callback") and told[0]["future"] is request

    pair[0].run(main())


def test_one_that_ends_the_program_ends_it_and_the_others_are_called_after_all(pair, client):
    heard = []
    for kind in (KeyboardInterrupt, SystemExit):

        async def main(kind=kind):
            def leave(request):
                raise kind

            request = client.get(T)
            request.add_done_callback(leave)
            request.add_done_callback(heard.append)
            await asyncio.sleep(10)

        with pytest.raises(kind):
            pair[0].run(main())
        pair[0].run(1)
        assert len(heard) == 1
        heard.clear()


def test_what_callbacks_ask_is_answered(pair, client):
    texts = []

    async def main():
        over = asyncio.get_running_loop().create_future()

        def ended(request):
            texts.append(request.result().text)
            if len(texts) == 1000:
                over.set_result(None)
            elif len(texts) < 1000:
                client.get(T).add_done_callback(ended)

        client.get(T).add_done_callback(ended)
        await over

    pair[0].run(main())
    assert texts == ["t"] * 1000


def test_who_asks_what_is_answered_at_once_lets_others_run(pair, client):
    """A bad URI fails, and a cache answers, in the turn that asks."""

    async def main(uri):
        count = turns = 0
        ended = False

        async def ask():
            nonlocal count
            while not ended:
                try:
                    await client.get(uri)
                except copal.BadURI:
                    pass
                count += 1

        asking = asyncio.ensure_future(ask())
        while count < 5000:
            await asyncio.sleep(0)
            turns += 1
        ended = True
        await asking
        assert turns > 1

    client.tune(cache_memory=65536)
    for uri in ("coap://server/kept", "no uri"):
        pair[0].run(main(uri))


def test_an_endpoint_may_be_closed_and_freed_by_who_waits(pair, client):
    sim, server, blocking = pair

    async def main():
        over = asyncio.get_running_loop().create_future()
        first, second, third = client.get(T), client.get(T), client.get(NEVER)
        first.add_done_callback(lambda r: sim.crash(blocking))
        third.add_done_callback(lambda r: over.set_result(None))
        await over
        assert first.result().text == "t"
        await asyncio.wait([second])
        for request in (second, third):
            assert isinstance(request.exception(), copal.Closed) or request.result().text == "t"
        with pytest.raises(copal.Closed):
            client.get(T)

    sim.run(main())


def test_tasks_wait_as_they_do_for_any_future(pair, client):
    async def main():
        seen = []

        async def ask():
            NAME.set("task")
            task = asyncio.current_task()
            r = await client.get(T)
            assert asyncio.current_task() is task and NAME.get() == "task"
            async with asyncio.timeout(5):
                await client.get(T)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await client.get(NEVER)
            seen.append(r.text)

        assert asyncio.current_task() is not None
        await asyncio.gather(*(ask() for _ in range(8)))
        assert [r.text for r in await asyncio.gather(*(client.get(T) for _ in range(8)))] == ["t"] * 8
        async for uri, r in client.get_all([T] * 20):
            seen.append(r.text)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.get(NEVER), 0.5)
        done, waiting = await asyncio.wait(
            [client.get(T), nobody := client.get(NEVER)], return_when=asyncio.FIRST_COMPLETED
        )
        assert waiting == {nobody} and nobody.cancel()
        inner = client.get(T)
        assert (await asyncio.shield(inner)).text == "t"
        task = asyncio.ensure_future(ask())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == ["t"] * 28
        assert client._open == []

    NAME.set("main")
    pair[0].run(main())
    assert asyncio.tasks._current_tasks == {}


def test_wrong_arguments_are_type_errors(pair, client):
    async def main():
        request = client.get(T)
        for args, names in (((), {}), ((1, 2), {}), ((print,), {"contexts": None})):
            with pytest.raises(TypeError):
                request.add_done_callback(*args, **names)
        with pytest.raises(TypeError):
            type(request).add_done_callback(1, print)
        await request

    pair[0].run(main())


REAL = r"""
import asyncio, copal

async def main():
    async with copal.Endpoint(listen="coap://127.0.0.1:0") as server, copal.Endpoint() as client:
        server.serve("/t", lambda req: "t")
        uri, texts = server.addresses[0] + "/t", []
        over = asyncio.get_running_loop().create_future()

        def ended(request):
            texts.append(request.result().text)
            if len(texts) < 500:
                client.get(uri).add_done_callback(ended)
            else:
                over.set_result(None)

        before = client._steps
        client.get(uri).add_done_callback(ended)
        await over
        # One for each answer: what it asks leaves in the same.
        print(texts == ["t"] * 500, client._steps - before < 750)

        closed = asyncio.get_running_loop().create_future()

        def free(request):
            client._free()
            closed.set_result(request.result().text)

        client.get(uri).add_done_callback(free)
        print(await closed, client.is_closed)

        try:
            asyncio.get_running_loop().set_debug(True)
            async with copal.Endpoint() as another:
                print((await another.get(uri)).text)
        finally:
            asyncio.get_running_loop().set_debug(False)

asyncio.run(main())
"""


def test_on_a_loop_of_its_own_what_callbacks_ask_leaves_in_the_same_turn():
    code, out, err = script(REAL)
    assert (code, out.split()) == (0, ["True", "True", "t", "True", "t"]), err
