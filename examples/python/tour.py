"""tour.py [--creds FILE] URI [URI6]: T8 to T26 and T28 of the guided tour in
Python, against "copal serve --test" at URI, and at URI6 the same over IPv6. By
coaps and the like FILE says who we are, as client and as server. The lines it
shows are its own. Exits with 1 if anything was not so; examples/tour.sh runs it."""

import argparse
import asyncio
import gc
import inspect
import subprocess
import sys
import textwrap
import time
import weakref
from collections.abc import Callable

import copal

words = argparse.ArgumentParser()
words.add_argument("--creds")
words.add_argument("uri", nargs="+")
said = words.parse_args()
CREDS = said.creds  # a file, or None
URIS = said.uri
URI = URIS[0]
SCHEME = URI.split(":")[0]
PORT = {"coap+ws": 80, "coaps": 5684, "coaps+tcp": 5684, "coaps+ws": 443}.get(SCHEME, 5683)
copal.set_default(copal.BlockingEndpoint(credentials=CREDS))
broken = 0


# ---- How the tour speaks -------------------------------------------------------


def show(*words: object) -> None:
    print(textwrap.indent("  ".join(map(str, words)).rstrip(), "     "), flush=True)


def ok(fact: bool, sentence: str) -> None:
    """A fact that has to hold. It is not among the lines that are shown."""
    global broken
    print("  ok:" if fact else "  NOT SO:", sentence, flush=True)
    broken += not fact


def step(number: str, title: str) -> Callable[[Callable[[], object]], None]:
    """Shows what is in a function and runs it, on an asyncio loop if it is
    async."""

    def show_and_run(fn: Callable[[], object]) -> None:
        print(f"\n{number:4} {title}")
        body = textwrap.dedent(inspect.getsource(fn).split(":\n", 1)[1])
        unclosed = 0  # parentheses of a fact
        for line in body.splitlines():
            if unclosed or line.lstrip().startswith("ok("):
                unclosed += line.count("(") - line.count(")")
            else:
                print("   |", line)
        sys.stdout.flush()
        result = fn()
        if inspect.iscoroutine(result):
            asyncio.run(result)

    return show_and_run


# ---- T8 to T10: a message, before anything is sent -----------------------------


@step("T8", "Build a message from code and URI, print it")
def build() -> None:
    m = copal.Message("GET", "coap://localhost/other/separate")
    show(m)
    ok(str(m) == "GET coap://localhost/other/separate", "one line, the same in every language")


@step("T9", "Print its options")
def options() -> None:
    m = copal.Message("GET", "coap://localhost/other/separate")
    show(m.options)
    ok(
        str(m.options) == "Uri-Host: localhost\nUri-Path: other / separate",
        "a line for each option, in the order of the wire",
    )


@step("T10", "The path, segment by segment")
def path() -> None:
    m = copal.Message("GET", "coap://localhost/other/separate")
    show(m.path)
    ok(m.path == ("other", "separate"), "the path is a tuple")
    m.uri = "coap://localhost/caf%C3%A9/"
    show(m.path)
    ok(m.path == ("café", ""), "percent-decoded; a slash at the end is an empty last segment")
    m.path = ("a/b", "c")
    show(m.path, m)
    ok(m.path == ("a/b", "c"), "it can be assigned; a slash within a segment stays within it")


# ---- T11 to T14: requests, the endpoint ----------------------------------------


@step("T11", "A request returns at once")
async def returns_at_once() -> None:
    async with copal.Endpoint(credentials=CREDS) as coap:
        request = coap.get(f"{URI}/time")
        show(repr(request))
        ok(
            repr(request) == f"<copal.Request GET {URI}/time (waiting)>",
            "the handle tells what was asked, and that it waits",
        )
        ok(not request.done(), "nothing was answered before it returned")
        await request
        show(repr(request))
        ok("2.05 Content" in repr(request), "and then what was answered")


@step("T12", "Wait for it: the whole response")
async def whole_response() -> None:
    async with copal.Endpoint(credentials=CREDS) as coap:
        res = await coap.get(f"{URI}/time")
    show("code       ", res.code)
    show("remote     ", res.remote)
    show("payload    ", res.payload)
    show("type       ", res.type)
    show("message id ", res.mid)
    show("token      ", res.token.hex())
    show(repr(res))
    ok(res.code == copal.CONTENT and len(res.payload) == 16, "a time of 16 characters")
    by_udp = URI.startswith(("coap:", "coaps:"))  # connections confirm nothing
    ok(len(res.token) > 0 and (res.type == "ACK") == by_udp, "piggybacked on the ACK, if it came by UDP")


@step("T13", "Ways to wait: without asyncio a call blocks")
def blocking() -> None:
    show(copal.get(f"{URI}/link1").text)
    with copal.BlockingEndpoint(credentials=CREDS) as coap:
        show(coap.get(f"{URI}/link2").text)
        ok(coap.get(f"{URI}/link2").text == "link2", "and so does one of BlockingEndpoint")


@step("T13", "Ways to wait: in asyncio await, and others go on")
async def awaiting() -> None:
    order: list[str] = []

    async def ask(path: str) -> None:
        await coap.get(URI + path)
        order.append(path)

    async with copal.Endpoint(credentials=CREDS) as coap, asyncio.TaskGroup() as group:
        group.create_task(ask("/separate"))
        group.create_task(ask("/link1"))
    show(order)
    ok(order == ["/link1", "/separate"], "the quick one did not wait for the slow one")


@step("T13", "Ways to wait: in python -m asyncio, as typed")
def prompt() -> None:
    ours = f"credentials={CREDS!r}" if CREDS else ""
    typed = f"import copal\n(await copal.Endpoint({ours}).get('{URI}/link1')).text\n"
    run = subprocess.run([sys.executable, "-m", "asyncio"], input=typed, text=True, capture_output=True)
    show(run.stdout.replace(">>> ", "").strip())
    ok("'link1'" in run.stdout, "there, and in IPython, await needs no function around it")


@step("T14", "One endpoint: cheap, reused, client and server in one")
async def one_endpoint() -> None:
    began = time.monotonic()
    for _ in range(100):
        await copal.Endpoint(credentials=CREDS).close()
    took = time.monotonic() - began
    show(f"a hundred endpoints: {took:.3f} s")
    ok(took < 2, "an endpoint is made within milliseconds")
    asked = 0
    async with copal.Endpoint(credentials=CREDS) as coap:

        @coap.serve("/hello")
        def hello(req: copal.Message) -> str:
            nonlocal asked
            asked += 1
            return "hello"

        try:
            coap.listen(f"{SCHEME}://127.0.0.1")
        except copal.NetworkError:
            coap.listen(f"{SCHEME}://127.0.0.1:0")
        base = coap.addresses[0]
        for _ in range(100):
            res = await coap.get(f"{base}/hello")
        show(res, asked)
        ok(asked == 100 and res.text == "hello", "one endpoint asked and answered a hundred times")
        ok(
            str(res.remote) == base.removesuffix(f":{PORT}"),
            "T16: the port is shown only if it is not the scheme's own",
        )


# ---- T15 to T19: what a response tells -----------------------------------------


@step("T15", "Its code")
def code() -> None:
    code = copal.get(f"{URI}/time").code
    show(code, code.number, code.dotted, code.cls, code.detail, code.is_successful)
    ok(
        str(code) == "2.05 Content" and code.number == 69 and code.dotted == "2.05",
        "2.05 is the number 69 and is called Content",
    )
    ok(code.cls == 2 and code.detail == 5 and code.is_successful, "class 2, detail 5: a success")
    show(copal.Code("2.30"))
    ok(str(copal.Code("2.30")) == "2.30", "a code nobody named shows its number")


@step("T16", "Who answered, and where to")
def remote() -> None:
    for base in URIS:
        res = copal.get(f"{base}/time")
        show(res.remote, res.remote.hostinfo, res.remote.scheme)
        show(res.local_address, res.local_address.hostinfo)
        ok(
            str(res.remote) == base and res.remote.scheme == base.split(":")[0],
            "the remote prints as the server's base URI",
        )
        ok(res.local_address.scheme == res.remote.scheme and str(res.local_address) != base, "the local address is ours")


@step("T17", "Is it multicast")
def multicast() -> None:
    four = copal.Message("GET", "coap://224.0.1.187/")
    six = copal.Message("GET", "coap://[ff02::fd]/")
    res = copal.get(f"{URI}/time")
    show(res.remote.is_multicast, four.remote.is_multicast, six.remote.is_multicast)
    ok(not res.remote.is_multicast, "a response comes from one server")
    ok(four.remote.is_multicast and six.remote.is_multicast, "the two are groups: all CoAP nodes")


@step("T18", "Its payload")
def payload() -> None:
    res = copal.get(f"{URI}/link1")
    show(res.payload, res.text, res.decode())
    ok(
        res.payload == b"link1" and res.text == "link1" and res.decode() == "link1",
        "bytes, text, and decoded by its Content-Format",
    )
    res = copal.get(f"{URI}/.well-known/core?href=/time")
    show(res.decode()[0].href, res.decode()[0]["obs"])
    ok(res.decode()[0].href == "/time" and res.decode()[0]["obs"] is True, "links become objects")
    m = copal.Message("PUT", URI, b'{"on":true}', format="json")
    show(m.format, m.json(), m.decode())
    ok(m.json() == m.decode() == {"on": True}, "so does JSON")
    m = copal.Message("PUT", URI, {"on": True}, format="cbor")
    show(m.format, m.payload, m.cbor(), m.decode())
    ok(m.cbor() == m.decode() == {"on": True} and len(m.payload) == 5, "and CBOR")


@step("T19", "Its Content-Format")
def content_format() -> None:
    format = copal.get(f"{URI}/link1").format
    show(format, format == 0, format == copal.TEXT)
    ok(format == 0 and str(format) == "text/plain;charset=utf-8", "0 is text/plain;charset=utf-8")


# ---- T20 to T22: several at once, and what goes wrong --------------------------


@step("T20", "Three requests at once, taken as they finish")
async def parallel() -> None:
    uris = [f"{URI}/other/separate", f"{URI}/time?as=typed", f"{URI}/link%31"]
    began, came = time.monotonic(), []
    async with copal.Endpoint(credentials=CREDS) as coap:
        async for uri, res in coap.get_all(uris):
            show(f"{time.monotonic() - began:.3f} s", uri, res.code)
            came.append(uri)
            ok(res.uri == uri, "a response's uri is its request's, as typed")
    ok(len(came) == 3 and came[2] == uris[0], "the slow one is last")


@step("T20", "The same with asyncio.as_completed()")
async def completed() -> None:
    came = []
    async with copal.Endpoint(credentials=CREDS) as coap:
        requests = [coap.get(URI + path) for path in ("/separate", "/time", "/link1")]
        for finished in asyncio.as_completed(requests):
            came.append((await finished).uri)
            show(came[-1])
    ok(len(came) == 3 and came[2] == f"{URI}/separate", "a request is a Future: the slow one is last again")


FAILURES = (
    (f"{SCHEME}://127.0.0.1:1/", copal.Refused, "EREFUSED", "nothing listens"),
    # A name in the DNS has no label this long, so that no server is asked.
    (f"{SCHEME}://" + 16 * "long" + "/", copal.NetworkError, "ERESOLVE", "not known"),
    ("127.0.0.1/time", copal.BadURI, "EURI", "scheme"),
    (f"{SCHEME}:///time", copal.BadURI, "EURI", "host"),
    (f"{SCHEME}://127.0.0.1:99999/", copal.BadURI, "EURI", "port"),
    (f"{SCHEME}://127.0.0.1/%zz", copal.BadURI, "EURI", "%"),
    (f"{SCHEME}://127.0.0.1/#part", copal.BadURI, "EURI", "fragment"),
    ("http://127.0.0.1/", copal.BadURI, "EURI", "proxy"),
)


@step("T21", "Errors: exceptions that print as a sentence")
def errors() -> None:
    for uri, kind, name, word in FAILURES:
        began, error = time.monotonic(), copal.Error()
        try:
            copal.get(uri)
        except copal.Error as e:
            error = e
        show(type(error).__name__, error.name, error)
        ok(type(error) is kind and error.name == name and word in str(error) and error.hint != "", uri)
        ok(time.monotonic() - began < 1, "at once")


@step("T22", "4.xx and 5.xx are responses; check() makes them exceptions")
def refusals() -> None:
    res = copal.get(f"{URI}/others/separate")
    show(res)
    ok(res.code == copal.NOT_FOUND and not res.code.is_successful, "not there is an answer")
    error = copal.Error()
    try:
        res.check()
    except copal.ResponseError as e:
        error = e
    show(error.name, error)
    ok(error.name == "4.04" and error.response is res, "the exception carries the response")
    show(copal.get(f"{URI}/time").check())
    show(copal.delete(f"{URI}/time"))
    ok(copal.delete(f"{URI}/time").code == copal.METHOD_NOT_ALLOWED, "not allowed is an answer, too")


# ---- T23 to T25: observing, large bodies, who one is to the server -------------


@step("T23", "Observe /time: the first value, and one every 5 s")
async def observe() -> None:
    began, times = time.monotonic(), []
    async with copal.Endpoint(credentials=CREDS) as coap:
        async for note in coap.observe(f"{URI}/time"):
            times.append(time.monotonic() - began)
            show(f"{times[-1]:6.3f} s", note.text)
            if len(times) == 3:
                break
    ok(len(times) == 3 and times[0] < 1, "the first value came at once")
    ok(4 < times[2] - times[1] < 6, "the others 5 s apart, also when the text is the same")


@step("T23", "Who leaves the loop is taken off the server's list")
async def leave() -> None:
    most = 0
    async with copal.Endpoint(credentials=CREDS) as server, copal.Endpoint(credentials=CREDS) as coap:
        server.listen(f"{SCHEME}://127.0.0.1:0")
        counter = server.value("/counter", 0)
        async for note in coap.observe(f"{server.addresses[0]}/counter"):
            most = max(most, server.stats.observers)
            if note.text == "2":
                break
            counter.value += 1  # tells every observer
        await asyncio.sleep(0.2)
        show("observers:", most, "and then:", server.stats.observers)
        ok(most == 1 and server.stats.observers == 0, "the server's count returns to 0")


@step("T24", "PUT, then GET a body of several blocks")
def blocks() -> None:
    text = b"abcdefghi\n" * 300
    with copal.BlockingEndpoint(credentials=CREDS) as coap:
        show(coap.put(f"{URI}/other/block", text))
        res = coap.get(f"{URI}/other/block")
        sent = coap.stats.datagrams_out
        show(res.code, len(res.payload), "bytes;", sent, "datagrams went out")
    ok(res.payload == text, "it came back the same")
    ok(sent >= 6 or "+" in URI, "in blocks of 1,024 bytes, unseen, or whole by a connection")


@step("T25", "Who am I to the server")
def whoami() -> None:
    for base in URIS:
        res = copal.get(f"{base}/whoami")
        show(res.text)
        ok(
            f"scheme:   {res.remote.scheme}\n" in res.text and ("identity: none" in res.text) == (CREDS is None),
            "the scheme, and who we have proved to be, if anybody",
        )
        ok(
            res.local_address.hostinfo in res.text and res.remote.hostinfo in res.text,
            "the server sees our address, and its own, as we do",
        )


# ---- T26, T28: a server, and its end -------------------------------------------


@step("T26", "Write a server")
async def serve() -> None:
    async with copal.Endpoint(credentials=CREDS) as server, copal.Endpoint(credentials=CREDS) as coap:

        @server.serve("/time", observable=True, rt="clock")
        def now(req: copal.Message) -> str:
            return time.strftime("%H:%M:%S")

        @server.serve("/hello/{name}")
        async def hello(req: copal.Message) -> str:
            await asyncio.sleep(0.1)  # a handler may wait
            return f"Hello, {req.params['name']}!"

        server.every(1, lambda: server.notify("/time"))
        server.listen(f"{SCHEME}://127.0.0.1:0")

        base = server.addresses[0]
        greeting = (await coap.get(f"{base}/hello/Anne")).text
        show(greeting)
        ok(greeting == "Hello, Anne!", "it answers, with what the path says")
        seen = 0
        async for note in coap.observe(f"{base}/time"):
            show(note.text)
            seen += 1
            if seen == 2:
                break
        ok(seen == 2, "and tells of changes")
        listed = (await coap.get(f"{base}/.well-known/core")).text
        show(listed)
        ok(
            '</time>;rt="clock";obs' in listed and "</hello/%7Bname%7D>" in listed,
            "both are listed",
        )


@step("T28", "Shut down")
async def shut_down() -> None:
    coap = copal.Endpoint(credentials=CREDS)
    requests = [coap.get(URI + path) for path in ("/other/separate", "/other/separate?2")]
    await asyncio.sleep(0.3)
    began = time.monotonic()
    await coap.close()
    took = time.monotonic() - began
    ended = await asyncio.gather(*requests, return_exceptions=True)
    show(f"{took:.1f} s", coap)
    for e in ended:
        show(type(e).__name__, e)
    ok(all(isinstance(e, copal.Closed) for e in ended), "requests under way end with Closed")
    ok(took < 3, "and it takes less than three seconds")
    left = weakref.ref(coap)
    del coap, requests, ended, e
    await asyncio.sleep(0)
    gc.collect()
    show(left())
    ok(left() is None, "nothing is left of it")


sys.exit(broken > 0)
