"""Handlers and requests as C runs them: coroutines in place until they really wait,
short answers, and what all of that does to the ground it stands on."""

import asyncio
import contextvars
import gc
import inspect
import sys
import weakref

import pytest
from conftest import script

import copal
from copal import _copal

T = "coap://server/t"


def told_of(sim):
    """What the loop's exception handler hears."""
    told = []
    sim._loop.set_exception_handler(lambda loop, context: told.append(context))
    return told


async def at_once(fn):
    return fn()


def plain(fn):
    return lambda req: fn()


def coroutine(fn):
    return lambda req: at_once(fn)


def waiting(fn):
    async def handler(req):
        await asyncio.sleep(0)
        return fn()

    return handler


STYLES = pytest.mark.parametrize("style", [plain, coroutine, waiting])

ANSWERS = [
    ("well", "2.05", b"well", 0),
    ("", "2.05", b"", None),
    ("grün", "2.05", "grün".encode(), 0),
    (b"well", "2.05", b"well", 42),
    (b"", "2.05", b"", None),
    (None, "2.05", b"", None),
    (copal.CHANGED, "2.04", b"", None),
    ((copal.CHANGED, "well"), "2.04", b"well", 0),
    ((copal.CHANGED, b"well"), "2.04", b"well", 42),
    ((copal.CHANGED, None), "2.04", b"", None),
    ((copal.CHANGED, "well", "text/plain"), "2.04", b"well", 0),
    (("well", "text/plain"), "2.05", b"well", 0),
    ({"a": 1}, "2.05", b'{"a":1}', 50),
    (bytearray(b"well"), "2.05", b"well", 42),
    (copal.Response("well", max_age=5), "2.05", b"well", None),
    (7, "2.05", b"7", 0),
]


@STYLES
@pytest.mark.parametrize("answer, code, payload, format", ANSWERS, ids=[str(i) for i in range(len(ANSWERS))])
def test_an_answer_is_the_same_however_its_handler_runs(pair, style, answer, code, payload, format):
    sim, server, client = pair
    server.serve("/t", style(lambda: answer))
    r = client.get(T)
    assert (r.code.dotted, r.payload) == (code, payload)
    if format is not None:
        assert r.format == format


@STYLES
def test_a_handler_may_take_its_own_path_away(pair, style):
    sim, server, client = pair

    def answer():
        server.unserve("/t")
        gc.collect()
        return {"a": "long answer"}

    server.serve("/t", style(answer))
    del answer
    assert client.get(T).json() == {"a": "long answer"}
    assert client.get(T).code == copal.NOT_FOUND


@STYLES
def test_a_handler_that_frees_its_endpoint_harms_nobody(pair, style):
    sim, server, client = pair
    told, runs = told_of(sim), []

    def answer():
        runs.append(1)
        server.aio._free()
        gc.collect()
        return {"a": "long answer"}

    server.serve("/t", style(answer))
    try:
        assert client.get(T, timeout=10).json() == {"a": "long answer"}
    except copal.Error:
        pass
    assert runs == [1] and told == []


def test_a_coroutine_in_place_has_a_context_of_its_own(pair):
    sim, server, client = pair
    var = contextvars.ContextVar("var", default="outside")
    seen = []

    async def handler(req):
        seen.append(var.get())
        var.set("inside")
        if req.path[1] == "waits":
            await asyncio.sleep(1)
        seen.append(var.get())
        return "t"

    server.serve("/a/{how}", handler)
    for how in ("not", "waits", "not", "waits"):
        client.get(f"coap://server/a/{how}")
        assert var.get() == "outside"
    assert seen == ["outside", "inside"] * 4


def test_a_coroutine_in_place_is_the_current_task(pair):
    sim, server, client = pair
    seen = []

    async def handler(req):
        task = asyncio.current_task()
        seen.append(task)
        assert task is asyncio.current_task() and weakref.ref(task)() is task
        async with asyncio.timeout(5):
            pass
        return "t"

    server.serve("/t", handler)
    assert client.get(T).text == "t"
    assert seen[0].get_name()  # what it asks for, a real task has
    sim.run(1)
    assert asyncio.all_tasks(sim._loop) == set()


@pytest.mark.parametrize("is_dict", [True, False])
def test_a_coroutine_in_place_within_a_task_gives_that_its_place_back(is_dict):
    code, out, err = script(WITHIN, str(is_dict))
    assert (code, out.split()) == (0, ["inside", "inside", "True", "{}"]), err


WITHIN = r"""
import asyncio, sys, copal
from copal import _copal, _serve

if sys.argv[1] == "False":  # as where asyncio keeps current tasks elsewhere
    _copal.set_tasks(_serve._enter_task, _serve._leave_task, asyncio.current_task, None,
                     asyncio._get_running_loop, _serve._task_of)

async def inside(outer, wait):
    assert asyncio.current_task() is not outer
    await asyncio.sleep(0) if wait else None
    print("inside")

async def main():
    me = asyncio.current_task()
    value, nothing = None, None
    task, value = _copal.run_in_place(asyncio.get_running_loop(), inside(me, False))
    assert task is None and asyncio.current_task() is me
    task, nothing = _copal.run_in_place(asyncio.get_running_loop(), inside(me, True))
    assert asyncio.current_task() is me
    await task
    print(asyncio.current_task() is me)

with copal.Sim(seed=1) as sim:
    sim.run(main())
print(asyncio.tasks._current_tasks)
"""


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="it is so there, and all other tests say this")
def test_a_dict_that_asyncio_does_not_look_at_is_not_taken_for_its_own():
    code, out, err = script(ELSEWHERE)
    assert (code, out.split()) == (0, ["in", "time"]), err


ELSEWHERE = r"""
import _asyncio, asyncio

current = _asyncio._current_tasks  # as of Python 3.14: out of sight
del _asyncio._current_tasks
asyncio.tasks._current_tasks = {}
asyncio.tasks.current_task = asyncio.current_task = lambda loop=None: current.get(loop or asyncio.get_running_loop())

import copal

async def handler(request):
    async with asyncio.timeout(5):
        await asyncio.sleep(0)
    return "in time"

with copal.Sim(seed=1) as sim:
    server, client = sim.endpoint("server"), sim.endpoint("client")
    server.serve("/t", handler)
    print(client.get("coap://server/t").text)
"""


def test_a_timeout_ends_what_a_coroutine_waits_for(pair):
    sim, server, client = pair

    async def handler(req):
        try:
            async with asyncio.timeout(2):
                await asyncio.sleep(100)
        except TimeoutError:
            return "too long"

    server.serve("/t", handler)
    assert client.get(T).text == "too long"


def test_a_task_group_in_a_coroutine_that_waits(pair):
    sim, server, client = pair

    async def one(n):
        await asyncio.sleep(n)
        return n

    async def handler(req):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(n)) for n in (1, 2)]
        return str(sum(t.result() for t in tasks))

    server.serve("/t", handler)
    assert client.get(T).text == "3"


def test_a_handler_whose_asker_leaves_is_cancelled_where_it_waits(pair):
    sim, server, client = pair
    seen = []

    async def handler(req):
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    server.serve("/t", handler)
    server.value("/v", 1)

    async def leave():
        request = client.aio.get(T)
        await asyncio.sleep(1)
        request.cancel()
        await server.aio.close()

    sim.run(leave())
    assert seen == ["cancelled"]


def test_what_a_coroutine_raises_before_and_after_its_first_wait_is_told_alike(pair):
    sim, server, client = pair
    told = told_of(sim)

    async def handler(req):
        if req.path[1] == "waits":
            await asyncio.sleep(1)
        raise KeyError("the secret")

    server.serve("/a/{how}", handler)
    for how in ("not", "waits"):
        r = client.get(f"coap://server/a/{how}")
        assert (r.code, r.payload) == (copal.INTERNAL_ERROR, b"")
    assert [repr(c["exception"]) for c in told] == ["KeyError('the secret')"] * 2
    for context in told:
        frames = []
        traceback = context["exception"].__traceback__
        while traceback is not None:
            frames.append(traceback.tb_frame.f_code.co_name)
            traceback = traceback.tb_next
        assert "handler" in frames


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_comes_out_of_a_coroutine_in_place(pair, end):
    sim, server, client = pair

    async def handler(req):
        raise end

    server.serve("/t", handler)
    with pytest.raises(end):
        client.get(T)
    server.serve("/u", lambda req: "u")
    assert client.get("coap://server/u").text == "u"


def test_an_awaitable_that_is_no_coroutine_is_awaited(pair):
    sim, server, client = pair

    class Later:
        def __await__(self):
            yield from asyncio.sleep(1).__await__()
            return "later"

    server.serve("/t", lambda req: Later())
    server.serve("/future", lambda req: asyncio.ensure_future(at_once(lambda: "future"), loop=sim._loop))
    assert client.get(T).text == "later"
    assert client.get("coap://server/future").text == "future"


def test_a_handler_may_ask_and_await(pair):
    sim, server, client = pair
    server.serve("/inner", lambda req: "inner")

    async def handler(req):
        return "outer of " + (await server.aio.get("coap://server/inner")).text

    server.serve("/t", handler)
    for _ in range(3):
        assert client.get(T).text == "outer of inner"


def test_nothing_of_requests_and_answers_stays(nothing_left):
    sim = copal.Sim(seed=1)
    server, client = sim.endpoint("server"), sim.endpoint("client")

    async def waits(req):
        await asyncio.sleep(0.01)
        return "t"

    server.serve("/t", lambda req: "t")
    server.serve("/c", coroutine(lambda: ("t", "text/plain")))
    server.serve("/w", waits)
    server.serve("/x", lambda req: {}["x"])
    sim._loop.set_exception_handler(lambda loop, context: None)

    def some(n):
        for _ in range(n):
            for path in "tcwx":
                client.get(f"coap://server/{path}")
        sim.run(300)
        gc.collect()
        return sys.gettotalrefcount() if hasattr(sys, "gettotalrefcount") else len(gc.get_objects())

    some(20)
    before = some(20)
    assert some(200) < before + 200
    for value in (None, True, copal.CHANGED, "t"):
        count = sys.getrefcount(value)
        some(20)
        assert abs(sys.getrefcount(value) - count) < 20
    sim.close()


def test_a_server_that_nobody_knows_is_collected_with_its_handlers(nothing_left):
    class Owner:
        def __init__(self, sim):
            self.coap = sim.endpoint("server")
            self.coap.serve("/t", self.answer)

        def answer(self, req):
            return "t"

    with copal.Sim(seed=1) as sim:
        owner = Owner(sim)
        assert sim.endpoint("client").get(T).text == "t"
        gone = weakref.ref(owner)
        del owner
    del sim
    gc.collect()
    assert gone() is None


# ---- Asking ----------------------------------------------------------------------


def test_a_request_knows_its_response_and_its_end(pair):
    sim, server, client = pair
    server.serve("/t", lambda req: "t")

    async def ask():
        request = client.aio.get(T)
        assert request in client.aio._open and not request.done() and request.response is None
        assert "GET" in repr(request) and "waiting" in repr(request)
        r = await request
        assert request.response is r and r.text == "t" and request.done()
        assert client.aio._open == []
        return request

    assert sim.run(ask()).result().code == copal.CONTENT


@pytest.mark.parametrize("body, payload, format", [("grün", "grün".encode(), 0), (b"raw", b"raw", None), (None, b"", None)])
@pytest.mark.parametrize("options", [{}, {"accept": 0}])
def test_a_body_goes_out_the_same_with_options_and_without(pair, body, payload, format, options):
    sim, server, client = pair
    seen = []

    def take(req):
        seen.append((req.payload, req.format))

    server.serve("/t", put=take)
    assert client.put(T, body, **options).code == copal.CHANGED
    assert seen == [(payload, format)]


def test_a_body_that_no_message_takes_is_an_error_at_once(pair):
    sim, server, client = pair

    async def ask(body):
        return client.aio.put(T, body)

    for body in ("\udcff", object()):
        with pytest.raises((UnicodeEncodeError, TypeError)):
            sim.run(ask(body))
    assert client.aio._open == []


def test_a_request_cancelled_as_its_answer_comes_stays_cancelled(pair):
    sim, server, client = pair
    requests = []

    def answer(req):
        requests[-1].cancel()
        return "t"

    server.serve("/t", answer)

    async def ask():
        for _ in range(3):
            requests.append(client.aio.get(T))
            with pytest.raises(asyncio.CancelledError):
                await requests[-1]
        await asyncio.sleep(100)

    sim.run(ask())
    assert all(r.cancelled() for r in requests) and client.aio._open == []


def test_a_request_given_a_result_by_its_owner_keeps_it(pair):
    sim, server, client = pair
    told = told_of(sim)
    server.serve("/t", lambda req: "t")

    async def ask():
        request = client.aio.get(T)
        request.set_result("mine")
        await asyncio.sleep(100)
        return request

    assert sim.run(ask()).result() == "mine"
    assert told == []


def test_fields_of_messages_are_read_and_assigned():
    m = copal.Message("PUT", "coap://host/a/%C3%BC/", "text")
    assert m.path == ("a", "ü", "") and m.payload == b"text" and m.text == "text"
    assert m.code == copal.PUT and type(m.code) is copal.Code
    m.path = ("x", "y")
    assert m.path == ("x", "y")
    m.path = "/z"
    assert m.path == ("z",)
    m.payload = "more"
    assert (m.text, m.format) == ("more", 0)
    m.payload = b"\xff"
    assert m.text == "\ufffd"
    for name in ("path", "payload"):
        with pytest.raises(AttributeError):
            delattr(m, name)
    for name in ("code", "text"):
        with pytest.raises(AttributeError):
            setattr(m, name, "x")


@pytest.mark.parametrize(
    "call, args",
    [
        (_copal.ask, ()),
        (_copal.ask, (1, 2, 3, 4)),
        (_copal.asking, (1,)),
        (_copal.asking, ("GET", print)),
        (_copal.asking, (1, 7)),
        (_copal.new_request, (1, 2, 3)),
        (_copal.new_request, (None, None, "GET", "coap://x/")),
        (copal.Endpoint.get, ()),
        (copal.Endpoint.get, (None, "coap://x/", 7)),
        (copal.Endpoint.put, (None, "coap://x/", 7, 8)),
        (_copal.serve_handler, (None, 1, "/x", 0, print, print, False)),
        (_copal.lookup_handler, (None, "*", print, print)),
        (_copal.run_in_place, (None, None)),
        (_copal.set_tasks, (1,)),
        (_copal.asked, (None,)),
        (_copal.set_request, (None,)),
        (_copal.set_request, (asyncio.Future,)),
        (_copal.set_request, (type("Request", (_copal.Asked,), {"__slots__": ("more",)}),)),
        (_copal.Asked, ()),
        (_copal.Asking, ()),
        (copal.Request, ()),
        (asyncio.Future.__new__, (copal.Request,)),
        (_copal.InPlace, ()),
    ],
)
def test_wrong_arguments_are_type_errors(call, args):
    with pytest.raises(TypeError):
        call(*args)


def test_wrong_arguments_after_an_endpoint_are_errors_as_well(pair):
    sim, server, client = pair
    c = client.aio

    async def main():
        for args in ((7,), ("coap://server/t", 7), (), (None, None)):
            with pytest.raises(TypeError):
                c.get(*args)
        for uri in (7, None, b"coap://server/t"):
            with pytest.raises(TypeError):
                c.put(uri, "x")
        with pytest.raises(TypeError):
            c.put("coap://server/t", object())
        with pytest.raises(ValueError):
            c.get("coap://server/\0")
        with pytest.raises(TypeError):
            _copal.serve_handler(c._handle, 1, "/x", 0, print, 7, False)
        request = c.get("coap://server/t")
        with pytest.raises(TypeError):
            _copal.ask(c._handle, c.message("GET", "coap://server/t"), request, True)
        await c.close()
        with pytest.raises(copal.Closed):
            c.get("coap://server/t")
        assert isinstance(request.exception(), copal.Closed)

    sim.run(main())
    assert c._open == []


def test_who_asks_on_another_loop_is_told():
    c = copal.Endpoint()
    with pytest.raises(copal.Error) as e:
        c.get("coap://127.0.0.1:1/")
    assert e.value.name == "ESTATE"

    async def first():
        c.get("coap://127.0.0.1:1/").cancel()

    async def second():
        with pytest.raises(copal.Error) as e:
            c.get("coap://127.0.0.1:1/")
        assert e.value.name == "ESTATE"

    loop, another = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        loop.run_until_complete(first())
        another.run_until_complete(second())
        loop.run_until_complete(c.close())
    finally:
        loop.close()
        another.close()


def test_methods_that_ask_look_like_those_they_stand_for():
    get = copal.Endpoint.get
    assert (get.__name__, get.__qualname__) == ("get", "Endpoint.get")
    assert "options:" in get.__doc__ and str(inspect.signature(get)).startswith("(self, uri: 'str', **options")
    assert callable(get) and "Endpoint.get" in repr(get)
    c = copal.Sim(seed=1).endpoint("client").aio
    assert str(inspect.signature(c.put)).startswith("(uri: 'str', body: 'Any' = None, **options")
    assert c.get == c.get and c.get.__func__ is get
