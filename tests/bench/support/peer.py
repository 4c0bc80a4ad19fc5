"""As peer.c: peer.py serve [async|waiting|read|read-async [PORT]] | ask URI COUNT
STYLE, STYLE await, callback, gather or blocking."""

import asyncio
import sys
import time

import copal

AT_A_TIME, WARM_UP = 16, 1000


def plain(req):
    return "hello, world"


async def plain_async(req):
    return "hello, world"


async def waiting(req):
    await asyncio.sleep(0)
    return "hello, world"


def read(req):
    assert req.path == ("hello",) and len(req.payload) == 12
    return "hello, world"


async def read_async(req):
    return read(req)


HANDLERS = {"": plain, "async": plain_async, "waiting": waiting, "read": read, "read-async": read_async}


async def serve(what, port):
    async with copal.Endpoint() as coap:
        coap.serve("/hello", HANDLERS[what], method="PUT" if "read" in what else "GET")
        coap.listen(f"coap://127.0.0.1:{port}")
        print(f"listening on {coap.addresses[0]}", flush=True)
        await coap.forever()


async def ask_await(coap, uri, n):
    async def some():
        for _ in range(n // AT_A_TIME):
            assert len((await coap.get(uri)).payload) == 12

    await asyncio.gather(*(some() for _ in range(AT_A_TIME)))


async def ask_callback(coap, uri, n):
    begun = done = 0
    over = asyncio.Event()

    def begin():
        nonlocal begun
        if begun < n:
            begun += 1
            coap.get(uri).add_done_callback(ended)

    def ended(request):
        nonlocal done
        assert len(request.result().payload) == 12
        done += 1
        if done == n:
            over.set()
        begin()

    for _ in range(AT_A_TIME):
        begin()
    await over.wait()


async def ask_gather(coap, uri, n):
    for _ in range(n // AT_A_TIME):
        for r in await asyncio.gather(*(coap.get(uri) for _ in range(AT_A_TIME))):
            assert len(r.payload) == 12


async def ask(style, uri, count):
    async with copal.Endpoint(nstart=AT_A_TIME) as coap:
        await style(coap, uri, WARM_UP)
        since = time.process_time()
        await style(coap, uri, count)
        print(f"{(time.process_time() - since) / count * 1e6:.3f}")


def ask_blocking(uri, count):
    with copal.BlockingEndpoint() as coap:
        for _ in range(WARM_UP):
            coap.get(uri)
        since = time.process_time()
        for _ in range(count):
            assert len(coap.get(uri).payload) == 12
        print(f"{(time.process_time() - since) / count * 1e6:.3f}")


def main(what, uri="", count="0", style=""):
    if what == "serve":
        asyncio.run(serve(uri, count))
    elif style == "blocking":
        ask_blocking(uri, int(count))
    else:
        asyncio.run(ask(globals()[f"ask_{style}"], uri, int(count)))


main(*sys.argv[1:])
