"""As cost.lua in Python: cost.py MARK serve|async|ask|await COUNT."""

import asyncio
import ctypes
import gc
import struct
import sys

import copal

CLIENTS, AT_A_TIME, TURN, WARM_UP = 256, 16, 0.8, 320

mark, what, count = ctypes.CDLL(sys.argv[1]), sys.argv[2], int(sys.argv[3])
done = sent = 0
sim = copal.Sim(seed=7)
server = sim.endpoint("server")
sim.keep(0)


def plain(req):
    global done
    assert req.path == ("hello",) and len(req.payload) == 12
    done += 1
    return "hello, world"


async def plain_async(req):
    return plain(req)


def serve(n):
    global sent
    for i in range(sent, sent + n):
        mid, client = divmod(i, CLIENTS)
        header = struct.pack(">BBHI", 0x44, 3, mid & 0xFFFF, i * 2654435761 & 0xFFFFFFFF)
        sim.inject(f"127.1.0.{client}", "server", header + b"\xb5hello\xffhello, world")
        if i % AT_A_TIME == AT_A_TIME - 1:
            sim.run(TURN)
    sent += n


async def ask(n):
    begun = ended_now = 0
    over = asyncio.Event()

    def begin():
        nonlocal begun
        if begun < n:
            begun += 1
            client.get("coap://server/nothing").add_done_callback(ended)

    def ended(request):
        global done
        nonlocal ended_now
        assert request.result().code == copal.NOT_FOUND
        done += 1
        ended_now += 1
        if ended_now == n:
            over.set()
        begin()

    for _ in range(AT_A_TIME):
        begin()
    await over.wait()


async def ask_await(n):
    async def some():
        global done
        for _ in range(n // AT_A_TIME):
            assert (await client.get("coap://server/nothing")).code == copal.NOT_FOUND
            done += 1

    await asyncio.gather(*(some() for _ in range(AT_A_TIME)))


def work(n):
    if what in ("serve", "async"):
        serve(n)
    else:
        sim.run((ask_await if what == "await" else ask)(n))


server.serve("/hello", put=plain_async if what == "async" else plain)
client = sim.endpoint("client", nstart=AT_A_TIME).aio
work(WARM_UP)
gc.collect()
mark.cost_begin(None)
work(count)
mark.cost_end(None)
assert done == WARM_UP + count, done
