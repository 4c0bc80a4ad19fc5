"""Nothing is left behind: 20,000 requests in each style (5,000 where a sanitizer
slows them), or COPAL_LEAKS of them (COPAL_LEAKS=100000), in a simulated network. When what the protocol has to
remember has run out, the endpoints' memory is to the byte what it was after the
first 5,000, no more handles are there, and the process has not grown."""

import asyncio
import gc
import os
import sys

import pytest

import copal
from conftest import IS_QUARANTINED, resident
from copal import _copal

MANY = int(os.environ.get("COPAL_LEAKS", 5000 if IS_QUARANTINED else 20000))
REST = 5000  # requests between pauses: message ids come back
PAUSE = 300  # seconds: EXCHANGE_LIFETIME and some more
GROWTH = 1 << 20  # bytes
T = "coap://server/t"


async def main_awaits(c, n):
    for _ in range(n):
        assert (await c.aio.get(T)).payload == b"21.5"


async def main_gathers(c, n):
    for _ in range(n // 50):
        for r in await asyncio.gather(*(c.aio.get(T) for _ in range(50))):
            assert r.payload == b"21.5"


async def main_calls_back(c, n):
    left, over = n, asyncio.Event()

    def begin():
        nonlocal left
        if left:
            left -= 1
            c.aio.get(T).add_done_callback(done)
        else:
            over.set()

    def done(request):
        assert request.result().payload == b"21.5"
        begin()

    for _ in range(32):
        begin()
    await over.wait()
    await asyncio.sleep(1)


async def main_cancels(c, n):
    for _ in range(n // 50):
        for _ in range(50):
            assert c.aio.get(T).cancel()
        await asyncio.sleep(1)


async def main_has_tasks(c, n):
    async def one():
        await c.aio.get(T)

    for _ in range(n // 50):
        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(one())


def blocks(c, n):
    for _ in range(n):
        assert c.get(T).payload == b"21.5"


def puts(c, n):
    body = b"x" * 500
    for _ in range(n):
        assert c.put(T, body).payload == body


def waits_for_handlers(c, n):
    for _ in range(n):
        assert c.get("coap://server/slow").payload == b"slow"


def sees_exceptions(c, n):
    for _ in range(n):
        assert c.get("coap://server/raises").code is copal.INTERNAL_ERROR


def mistypes(c, n):
    for _ in range(n):
        try:
            c.get("coap://server:99999/")
        except copal.BadURI:
            pass


STYLES = [main_awaits, main_gathers, main_calls_back, main_cancels, main_has_tasks, blocks, puts,
          waits_for_handlers, sees_exceptions, mistypes]  # fmt: skip


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc here")
@pytest.mark.parametrize("style", STYLES, ids=lambda f: f.__name__)
def test_nothing_is_left_behind(style):
    with copal.Sim(seed=3) as sim:
        sim.keep(1000)
        sim._loop.set_exception_handler(lambda loop, context: None)
        server, client = sim.endpoint("server"), sim.endpoint("client")
        server.serve("/t", get=lambda req: "21.5", put=lambda req: req.payload)

        @server.serve("/slow")
        async def slow(req):
            await asyncio.sleep(0.01)
            return "slow"

        @server.serve("/raises")
        def raises(req):
            raise KeyError("on purpose")

        def many():
            made = style(client, REST)
            if asyncio.iscoroutine(made):
                sim.run(made)
            sim.run(PAUSE)

        def measured():
            gc.collect()
            return client.stats.memory, server.stats.memory, _copal.live()

        many()
        before, held = measured(), resident()
        for _ in range(MANY // REST):
            many()
        assert measured() == before
        assert client.stats.exchanges_open == 0
        grown = resident() - held
        print(f"{style.__name__}: {MANY} requests, core {before[0]} + {before[1]} bytes, process {grown:+}",
              file=sys.stderr)  # fmt: skip
        assert IS_QUARANTINED or grown < GROWTH
