"""What goes wrong when copal is used wrongly, row by row: what is done, which
exception it is, and what that says. Never a crash, never silence."""

import asyncio
import gc
import io
import math
import warnings

import pytest
from conftest import script, within

import copal
from copal import _copal

T = "coap://server/t"
cycle = []
cycle.append(cycle)


def nothing(*_):
    pass


@pytest.fixture
def world():
    """(server, client, told): what no code waits for is told."""
    told = []
    with copal.Sim(seed=7) as sim:
        sim._loop.set_exception_handler(lambda loop, context: told.append(context))
        server, client = sim.endpoint("server"), sim.endpoint("client")
        server.serve("/t", get=lambda req: "t", put=lambda req: copal.CHANGED)
        server.value("/v", 1)
        yield server, client, told


def pieces(*items):
    yield from items
    raise KeyError("on purpose")


async def async_ints():
    yield 5


def assign_code(m):
    m.code = 1


def assign_payload(m):
    m.payload = b"x"


# ---- What is raised ------------------------------------------------------------

CLIENT = [  # what is done, the class (and name), part of the sentence, the deed
    ("no URI", TypeError, "URI expected, got NoneType", lambda c: c.get(None)),
    ("a URI that is a number", TypeError, "URI expected, got int", lambda c: c.get(5)),
    ("a URI of bytes", TypeError, "URI expected, got bytes", lambda c: c.get(b"coap://server/t")),
    ("an empty URI", copal.BadURI, "an empty text is no URI", lambda c: c.get("")),
    ("a scheme of the web", copal.BadURI, "only through a proxy", lambda c: c.get("http://x/")),
    ("a port over 65535", copal.BadURI, "over 65535", lambda c: c.get("coap://server:99999/")),
    ("a URI with a zero", ValueError, "zero byte", lambda c: c.get("coap://server/\0t")),
    ("a URI that no UTF-8 has", ValueError, "surrogates not allowed", lambda c: c.get("coap://server/\udcff")),
    ("a letter not percent-encoded", copal.BadURI, "percent-encode it as %C3", lambda c: c.get("coap://server/é")),
    ("a segment over 255 bytes", copal.BadURI, "255 at most", lambda c: c.get("coap://server/" + "x" * 300)),
    ("a keyword misspelt", TypeError, "no such option or parameter: ack_timout", lambda c: c.get(T, ack_timout=1)),
    ("a profile nobody knows", copal.Invalid, "no profile 'nonsense'; there are", lambda c: c.profile(T, "nonsense")),
    ("a profile that is no name", TypeError, "", lambda c: c.profile(T, 5)),
    ("a URL as the name of a host", copal.Invalid, "no name of a host", lambda c: c.allow_host("http://d.example")),
    ("an option of a signal", ValueError, "no option 'Max-M", lambda c: c.get(T, options={"Max-Message-Size": 1})),
    ("an unknown option", ValueError, "no option 'Nonsense'", lambda c: c.get(T, options={"Nonsense": b"x"})),
    ("an option over 65535", copal.Invalid, "0 to 65535", lambda c: c.get(T, options={70000: b"x"})),
    ("a negative option", copal.Invalid, "0 to 65535", lambda c: c.get(T, options={-1: b"x"})),
    ("an option of 65 bits", ValueError, "out of range", lambda c: c.get(T, options={2**64: b"x"})),
    ("an option with a fraction", TypeError, "a number or a name, got float", lambda c: c.get(T, options={1.5: b""})),
    ("options that are a number", TypeError, "not iterable", lambda c: c.get(T, options=5)),
    ("a value that is a dict", TypeError, "cannot be a dict", lambda c: c.get(T, etag={})),
    ("a value with a fraction", TypeError, "cannot be a float", lambda c: c.get(T, max_age=1.5)),
    ("a negative Max-Age", ValueError, "out of range", lambda c: c.get(T, max_age=-1)),
    ("a value over 32 bits", ValueError, "out of range", lambda c: c.get(T, max_age=2**40)),
    ("a value over 64 bits", ValueError, "out of range", lambda c: c.get(T, max_age=2**64)),
    ("an ETag of nine bytes", copal.Invalid, "9 bytes, at most 8", lambda c: c.get(T, etag=b"123456789")),
    ("an unknown format", ValueError, "unknown Content-Format 'no/such'", lambda c: c.put(T, "x", format="no/such")),
    ("a format over 65535", ValueError, "unknown Content-Format 65536", lambda c: c.put(T, "x", format=65536)),
    ("a body that is an object", TypeError, "cannot be a object", lambda c: c.put(T, object())),
    ("a body that is a function", TypeError, "cannot be a function", lambda c: c.put(T, nothing)),
    ("a list that holds itself", ValueError, "Circular", lambda c: c.put(T, cycle)),
    ("text that no UTF-8 has", ValueError, "surrogates", lambda c: c.put(T, "\udcff")),
    ("a dict as XML", TypeError, "give bytes or str", lambda c: c.put(T, {}, format="xml")),
    ("a file opened as text", TypeError, "binary mode", lambda c: c.put(T, io.StringIO("x"))),
    ("an iterator of numbers", TypeError, "made of bytes, got int", lambda c: c.put(T, iter([1, 2]))),
    ("an async iterator of numbers", TypeError, "made of bytes, got int", lambda c: c.put(T, async_ints())),
    ("an iterator that raises", KeyError, "on purpose", lambda c: c.put(T, pieces(b"x"))),
    ("a sink that raises", ZeroDivisionError, "", lambda c: c.get(T, sink=lambda piece: 1 / 0)),
    ("a sink that is a number", TypeError, "not callable", lambda c: c.get(T, sink=5)),
    ("a negative timeout", copal.Invalid, "timeout: -1000 is out of range", lambda c: c.get(T, timeout=-1)),
    ("a timeout that is text", TypeError, "timeout is a number, got '5'", lambda c: c.get(T, timeout="5")),
    ("a timeout that is no number", TypeError, "timeout is a number, got nan", lambda c: c.get(T, timeout=math.nan)),
    ("a parameter of 64 bits", ValueError, "out of range", lambda c: c.get(T, max_retransmit=2**63)),
    ("a block size between sizes", copal.Invalid, "none of 16, 32", lambda c: c.get(T, block_size=100)),
    ("sleeping backwards", ValueError, "a number of seconds, got -1", lambda c: c.sleep(-1)),
    ("sleeping for ever", ValueError, "a number of seconds, got inf", lambda c: c.sleep(math.inf)),
    ("a timer's time as text", ValueError, "a number of seconds, got 'x'", lambda c: c.after("x", nothing)),
    ("a timer without a function", TypeError, "a timer calls a function", lambda c: c.after(1, None)),
    ("observing nothing", TypeError, "not iterable", lambda c: c.observe(None)),
    ("observing numbers", TypeError, "str expected, got int", lambda c: c.observe([5])),
    ("what cannot be observed", (copal.Error, "ENOTOBS"), "cannot be observed", lambda c: list(c.observe(T))),
    ("a ping to nobody", copal.BadURI, "the host is missing", lambda c: c.ping("coap://")),
    ("listening at the web", copal.BadURI, "only through a proxy", lambda c: c.listen("http://x")),
    ("listening nowhere", TypeError, "str expected", lambda c: c.listen(None)),
    ("tuning the unknown", TypeError, "no such parameter: foo", lambda c: c.tune(foo=1)),
    ("tuning out of range", copal.Invalid, "1 to 86400000", lambda c: c.tune(ack_timeout=-5)),
    ("tracing the unknown", ValueError, "wire, state or security", lambda c: c.trace("nonsense", nothing)),
    ("a code nobody knows", ValueError, "not a code: 'NONSENSE'", lambda c: c.message("NONSENSE", T)),
    ("a code over 255", ValueError, "not a code: 256", lambda c: c.message(256, T)),
    ("a request that is none", TypeError, "a copal.Message expected", lambda c: c.request(None)),
    ("a request without URI", copal.BadURI, "no URI", lambda c: c.request(copal.Message("GET"))),
    ("a response as request", copal.Invalid, "not a method", lambda c: c.request(copal.Message("2.05", T))),
    ("sending what is no message", TypeError, "message expected", lambda c: c.send(object(), "coap://server")),
    ("changing what came", (copal.Error, "ESTATE"), "cannot change", lambda c: assign_payload(c.get(T))),
    ("assigning a code", AttributeError, "code", lambda c: assign_code(c.message("GET", T))),
    ("reading an unknown option", ValueError, "no option 'Nope'", lambda c: c.get(T).option("Nope")),
    ("text that is no JSON", copal.Invalid, "not JSON", lambda c: c.get(T).json()),
    ("text that is no CBOR", copal.Invalid, "CBOR", lambda c: c.get(T).cbor()),
    ("pieces that are not streamed", (copal.Error, "ESTATE"), "streamed=True", lambda c: c.get(T).chunks()),
    ("waiting for a number", TypeError, "awaitable", lambda c: c.run(5)),
    ("shortcuts on a number", TypeError, "BlockingEndpoint expected", lambda c: copal.set_default(5)),
    ("an unknown parameter", TypeError, "no such parameter: foo", lambda c: copal.BlockingEndpoint(foo=1)),
    ("more than all losses", copal.Invalid, "range", lambda c: copal.Sim(loss=101)),
    ("a method without self", TypeError, "missing", lambda c: copal.Endpoint.get(T)),
]

SERVER = [
    ("serving nothing", TypeError, "callable, got int", lambda s: s.serve("/x", 5)),
    ("serving nowhere", TypeError, "a path expected, got NoneType", lambda s: s.serve(None, nothing)),
    ("a path of bytes", TypeError, "a path expected, got bytes", lambda s: s.serve(b"/x", nothing)),
    ("serving twice", (copal.Error, "EEXIST"), "already served", lambda s: s.serve("/t", nothing)),
    ("a path without slash", copal.Invalid, 'begins with "/"', lambda s: s.serve("x", nothing)),
    ("half a brace", copal.Invalid, "a whole segment", lambda s: s.serve("/{a", nothing)),
    ("a star amid a path", copal.Invalid, "comes last", lambda s: s.serve("/*/a", nothing)),
    ("a path with a zero", ValueError, "zero byte", lambda s: s.serve("/a\0b", nothing)),
    ("a path that no UTF-8 has", ValueError, "surrogates", lambda s: s.serve("/\udcff", nothing)),
    ("a method of class 2", ValueError, "class 0", lambda s: s.serve("/x", nothing, method="2.05")),
    ("a code for a keyword", TypeError, "0.30 is no method's keyword", lambda s: s.serve("*", **{"0.30": nothing})),
    ("a misspelt method", TypeError, "gett is no method's keyword", lambda s: s.serve("/x", gett=nothing)),
    ("a method nobody knows", ValueError, "not a code", lambda s: s.serve("/x", nothing, method="NONSENSE")),
    ("unserving what is not there", (copal.Error, "ENOENT"), "nothing is served", lambda s: s.unserve("/no")),
    ("notifying of nothing", (copal.Error, "ENOENT"), "nothing is served", lambda s: s.notify("/no")),
    ("notifying of a number", TypeError, "str expected", lambda s: s.notify(5)),
    ("describing what is not there", (copal.Error, "ENOENT"), "nothing", lambda s: s.describe("/no", "rt", "x")),
]


def expect(wanted, part, deed, endpoint):
    kind, name = wanted if isinstance(wanted, tuple) else (wanted, None)
    with pytest.raises(kind) as e:
        deed(endpoint)
    assert part in str(e.value)
    assert name is None or e.value.name == name


@pytest.mark.parametrize("what, wanted, part, deed", CLIENT, ids=[row[0] for row in CLIENT])
def test_a_client_is_told(world, what, wanted, part, deed):
    expect(wanted, part, deed, world[1])
    assert world[1].get(T).text == "t"


@pytest.mark.parametrize("what, wanted, part, deed", SERVER, ids=[row[0] for row in SERVER])
def test_a_server_is_told(world, what, wanted, part, deed):
    expect(wanted, part, deed, world[0])
    assert world[1].get(T).text == "t"


# ---- Handlers --------------------------------------------------------------------


def raising(e):
    def handler(req):
        raise e

    return handler


async def blocking(req):
    return copal.get(T).text


HANDLERS = [
    ("raises", raising(KeyError("the secret")), "KeyError"),
    ("takes no request", lambda: None, "positional"),
    ("asks and blocks", blocking, "running asyncio loop"),
    ("returns an object", lambda req: object(), "cannot be a object"),
    ("returns a set", lambda req: {1}, "cannot be a set"),
    ("returns an endpoint", lambda req: copal.default, "cannot be a function"),
    ("returns too many", lambda req: (1, 2, 3, 4), "an answer is"),
    ("returns nothing in a tuple", lambda req: (), "an answer is"),
    ("returns a method", lambda req: copal.GET, "no response code"),
    ("returns the empty code", lambda req: copal.EMPTY, "no response code"),
    ("returns an unknown format", lambda req: ("x", "no/such"), "unknown Content-Format"),
    ("returns an unknown option", lambda req: copal.Response("x", nosuch=1), "nosuch"),
    ("returns its request", lambda req: req, "no response code"),
    ("returns text that no UTF-8 has", lambda req: "\udcff", "surrogates"),
    ("returns a file opened as text", lambda req: io.StringIO("x"), "binary mode"),
]


@pytest.mark.parametrize("what, handler, part", HANDLERS, ids=[row[0] for row in HANDLERS])
def test_a_handler_is_answered_5_00_without_payload(world, what, handler, part):
    server, client, told = world
    server.serve("/h", handler)
    r = client.get("coap://server/h", timeout=100)
    assert (r.code, r.payload, list(r.options)) == (copal.INTERNAL_ERROR, b"", [])
    assert len(told) == 1 and part in repr(told[0]["exception"]), told


def test_a_handler_that_never_answers_is_a_timeout(world):
    server, client, told = world

    @server.serve("/never")
    async def never(req):
        await asyncio.Event().wait()

    with pytest.raises(copal.Timeout, match="10000 ms"):
        client.get("coap://server/never", timeout=10)
    assert told == []


def test_what_a_handler_raised_is_on_stderr_with_its_traceback_and_not_on_the_wire():
    code, out, err = script(
        """
import copal
sim = copal.Sim()
server, client = sim.endpoint("server"), sim.endpoint("client")
@server.serve("/secret")
def secret(req):
    raise KeyError("the secret")
client.get("coap://server/secret")
print(sim.transcript)
"""
    )
    assert code == 0 and "ACK 5.00" in out and "secret\"" not in out and "the secret" not in out
    assert "Traceback (most recent call last)" in err and "KeyError: 'the secret'" in err and "in secret" in err


def test_a_body_that_is_too_large_is_refused_with_4_13(world):
    _, client, _ = world
    assert client.put(T, bytes(1 << 21)).code is copal.TOO_LARGE


def test_what_progress_and_timers_raise_is_told_and_all_goes_on(world):
    _, client, told = world
    client.after(0, lambda: 1 / 0)
    client.put(T, bytes(2000), progress=lambda done, total: 1 / 0)
    client.sleep(1)
    assert len(told) >= 2 and all(isinstance(c["exception"], ZeroDivisionError) for c in told)


# ---- Forgotten await -------------------------------------------------------------


def test_a_forgotten_await_is_told_in_python_s_own_way():
    async def main():
        told = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["message"]))
        async with copal.Endpoint() as c:
            for name in ("text", "payload", "code"):
                with pytest.raises(AttributeError, match="'Request' object has no attribute"):
                    getattr(c.get("coap://127.0.0.1:1/"), name)
            with pytest.raises(TypeError, match="not iterable"):
                for _ in c.observe("coap://127.0.0.1:1/"):
                    pass
            with pytest.raises(TypeError, match="context manager"):
                with c:
                    pass
            await asyncio.sleep(0.1)
            gc.collect()
            assert "Request exception was never retrieved" in told
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                c.sleep(1)
                c.close()
                gc.collect()
            assert len(warned) == 2
            for warning, method in zip(warned, ("sleep", "close")):
                assert str(warning.message).endswith(f".{method}' was never awaited")

    within(main())


# ---- Twice, and after the end ----------------------------------------------------


def test_an_exchange_is_answered_once(world):
    server, client, _ = world
    kept, names = [], []

    def answer(body):
        try:
            _copal.reply(kept[0], 69, -1, body)
        except copal.Error as e:
            names.append(e.name)

    def handler(kind, *rest):
        if kind == _copal.REQUEST:
            kept.append(rest[1])
            answer(b"1")
            answer(b"2")

    _copal.serve(server.aio._handle, 1, "/once", 0, handler)
    assert client.get("coap://server/once").payload == b"1" and names == ["ESTATE"]
    answer(b"3")
    assert names == ["ESTATE", "ESTATE"]
    server.aio._free()
    answer(b"4")
    assert names[2] in ("ESTATE", "ECLOSED")


def test_cancelling_twice_says_false(world):
    _, client, _ = world
    request = client.aio.get(T)
    assert [request.cancel(), request.cancel()] == [True, False]
    over = client.aio.get(T)
    client.run(over)
    assert not over.cancel()
    observation = client.observe("coap://server/v")
    assert [observation.cancel(), observation.cancel()] == [True, False]
    with pytest.raises(copal.Closed, match="the observation is over"):
        observation.next()
    timer = client.after(1, nothing)
    assert [timer.cancel(), timer.cancel()] == [True, False]


CLOSED = {
    "get": lambda c: c.get(T), "put": lambda c: c.put(T, "x"), "ping": lambda c: c.ping(T),
    "observe": lambda c: c.observe(T), "watch": lambda c: c.watch(T), "get_all": lambda c: list(c.get_all([T])),
    "request": lambda c: c.request(copal.Message("GET", T)), "message": lambda c: c.message("GET", T),
    "serve": lambda c: c.serve("/x", nothing), "value": lambda c: c.value("/x", 1),
    "unserve": lambda c: c.unserve("/x"), "notify": lambda c: c.notify("/x"),
    "listen": lambda c: c.listen("coap://127.0.0.1:0"), "stats": lambda c: c.stats,
    "metrics": lambda c: c.metrics(0), "metrics_text": lambda c: c.metrics_text(),
    "tune": lambda c: c.tune(nstart=1), "profile": lambda c: c.profile(None, "shelly"),
    "allow_host": lambda c: c.allow_host("device.example"), "links": lambda c: c.links(), "forever": lambda c: c.forever(),
}  # fmt: skip


@pytest.mark.parametrize("name", CLOSED)
def test_after_close_everything_says_closed(world, name):
    _, client, _ = world
    client.close()
    client.close()
    with pytest.raises(copal.Closed, match="the endpoint is closed"):
        CLOSED[name](client)
