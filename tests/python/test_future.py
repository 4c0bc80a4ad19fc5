"""A Request is an asyncio.Future that has all of one in C: whatever is done to it
comes out as it does of one of asyncio's own."""

import asyncio
import gc
import weakref

import pytest

import copal

NEVER = "coap://server/never"


async def never(req):
    await asyncio.sleep(3600)


@pytest.fixture
def client(pair):
    pair[1].serve("/never", never)
    pair[1].serve("/t", lambda req: "t")
    return pair[2].aio


def shown(fn, future):
    """What a call gives or raises, in words that are the same for all futures."""
    try:
        value = fn(future)
    except BaseException as e:
        return type(e), str(e).partition(" and cannot")[0]
    return "itself" if value is future else value


class Odd(Exception):
    def __init__(self):
        raise LookupError("odd")


DONE = [
    lambda f: f.set_result(7),
    lambda f: f.set_result((1, 2)),
    lambda f: f.set_exception(KeyError("k")),
    lambda f: f.set_exception(KeyError),
    lambda f: f.set_exception(StopIteration),
    lambda f: f.set_exception(Odd),
    lambda f: f.set_exception(7),
    lambda f: f.cancel(),
    lambda f: f.cancel("why"),
    lambda f: f.cancel(msg="why"),
    lambda f: f.cancel(message="why"),
    lambda f: None,
]
LOOKS = [
    lambda f: f.done(),
    lambda f: f.cancelled(),
    lambda f: f.result(),
    lambda f: str(f.exception()),
    lambda f: f._state,
    lambda f: f._log_traceback,
    lambda f: setattr(f, "_log_traceback", True),
    lambda f: setattr(f, "_log_traceback", False),
    lambda f: f._log_traceback,
    lambda f: f._asyncio_future_blocking,
    lambda f: f._callbacks,
    lambda f: type(f._make_cancelled_error()),
    lambda f: f.get_loop() is f._loop is asyncio.get_running_loop(),
    lambda f: f.set_result(8),
    lambda f: f.set_exception(ValueError),
    lambda f: f.cancel("again"),
    lambda f: f.result(),
    lambda f: f._source_traceback,
    lambda f: next(iter(f)),
    lambda f: next(f.__await__()),
    lambda f: f.remove_done_callback(print),
]


@pytest.mark.parametrize("end", range(len(DONE)))
def test_it_ends_as_one_does_and_looks_as_one_then(pair, client, end):
    async def main():
        seen = []
        for future in (asyncio.get_running_loop().create_future(), client.get(NEVER)):
            seen.append([shown(fn, future) for fn in (DONE[end], *LOOKS)])
            future.cancel()
        assert seen[0] == seen[1]

    pair[0].run(main())


def test_who_awaits_it_is_told_what_a_future_tells(pair, client):
    async def main():
        async def wait(future):
            return await future

        for end in DONE:
            outcomes = []
            for future in (asyncio.get_running_loop().create_future(), client.get(NEVER)):
                tasks = [asyncio.ensure_future(wait(future)) for _ in range(2)]
                tasks.append(asyncio.ensure_future(asyncio.wait_for(asyncio.shield(future), 60)))
                tasks.append(asyncio.gather(future, return_exceptions=True))
                await asyncio.sleep(0)
                shown(end, future)
                future.cancel("enough")
                outcomes.append([repr(x) for x in await asyncio.gather(*tasks, return_exceptions=True)])
            assert outcomes[0] == outcomes[1]

    pair[0].run(main())


def test_it_is_awaited_by_hand_as_well(pair, client):
    async def main():
        seen = []
        for future in (asyncio.get_running_loop().create_future(), client.get(NEVER)):
            waits = future.__await__()
            seen.append([shown(fn, waits) for fn in (lambda w: iter(w), lambda w: w.throw(KeyError("k")))])
            for args in ((KeyError, "k"), (KeyError, ("k", 7)), (KeyError, KeyError("k")), (KeyError, None)):
                seen[-1].append(shown(lambda w: w.throw(*args), future.__await__()))
            waits = iter(future)
            assert waits.send(None) is future and future._asyncio_future_blocking is True
            for again in (lambda w: w.send(None), lambda w: w.throw(KeyError), lambda w: w.close()):
                seen[-1].append(shown(again, waits))
            future._asyncio_future_blocking = False
            waits = future.__await__()
            assert next(waits) is future
            future.set_result((1, 2))
            seen[-1] += [shown(lambda w: w.send(None), waits), shown(next, future.__await__())]
        assert seen[0] == seen[1]

    pair[0].run(main())


def test_a_task_that_is_cancelled_cancels_what_it_awaits(pair, client):
    async def main():
        request = client.get(NEVER)

        async def wait():
            await request

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert request.cancelled() and client._open == []

    pair[0].run(main())


def test_looking_again_at_an_error_does_not_make_its_traceback_longer(pair, client):
    def depth(e):
        n, traceback = 0, e.__traceback__
        while traceback is not None:
            n, traceback = n + 1, traceback.tb_next
        return n

    async def main():
        request, seen = client.get("no uri"), set()
        await asyncio.wait([request])
        for _ in range(3):
            with pytest.raises(copal.BadURI) as e:
                request.result()
            seen.add(depth(e.value))
        assert len(seen) == 1

    pair[0].run(main())


def test_an_error_that_nobody_looks_at_is_told_the_loop_once(pair, client):
    told = []
    loop = pair[0]._loop

    async def main():
        loop.set_exception_handler(lambda loop, context: told.append(context))
        await asyncio.wait([client.get("no uri"), seen := client.get("nor this")])
        assert seen.exception() is not None
        del seen

    pair[0].run(main())
    gc.collect()
    assert [c["message"] for c in told] == ["Request exception was never retrieved"]
    assert isinstance(told[0]["exception"], copal.BadURI) and isinstance(told[0]["future"], copal.Request)
    told.clear()
    gc.collect()
    assert told == []


def test_in_debug_mode_it_knows_where_it_was_made(pair, client):
    async def main():
        loop = asyncio.get_running_loop()
        assert client.get(NEVER)._source_traceback is None
        loop.set_debug(True)
        try:
            await asyncio.sleep(1)
            place = client.get(NEVER)._source_traceback
        finally:
            loop.set_debug(False)
        assert place[-1].name == "main" and place[-1].filename == __file__

    pair[0].run(main())


def test_it_is_collected_with_what_leads_back_to_it(pair, client, nothing_left):
    async def main():
        for uri, is_cancelled in (("coap://server/t", True), ("coap://server/t", False), ("no uri", False)):
            request = client.get(uri)
            request.itself = request
            request.add_done_callback(lambda r, also=request: None)
            request.add_done_callback(lambda r, also=request: None)
            gone = weakref.ref(request)
            if is_cancelled:
                request.cancel(request)
            else:
                await asyncio.wait([request])
                request.exception()
            await asyncio.sleep(300)
            del request
            gc.collect()
            assert gone() is None

    pair[0].run(main())


def test_nobody_else_makes_one(client):
    class Mine(copal.Request):
        pass

    for cls in (Mine, copal.Request):
        with pytest.raises(TypeError):
            cls()
        with pytest.raises(TypeError):
            asyncio.Future.__new__(cls)
    request = client.get("x")
    assert isinstance(request, asyncio.Future) and asyncio.isfuture(request)
    request.cancel()
