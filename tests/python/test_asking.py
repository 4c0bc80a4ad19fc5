"""Asking and serving, in virtual time. Each name is the sentence it proves."""

import asyncio
import io
import os

import pytest

import copal


def test_one_get_and_its_parts(pair):
    _, server, client = pair
    server.serve("/temp", lambda req: "21.5")
    r = client.get("coap://server/temp")
    assert (str(r.code), r.text, r.payload, r.format) == ("2.05 Content", "21.5", b"21.5", 0)
    assert r.uri == "coap://server/temp" and str(r.remote) == "coap://server"
    assert r.type == "ACK" and isinstance(r.mid, int) and len(r.token) > 0 and r.identity is None
    assert r.local_address.hostinfo == "client" and r.check() is r


def test_a_4xx_is_a_response_and_check_makes_it_an_error(pair):
    _, _, client = pair
    r = client.get("coap://server/nothing")
    assert r.code is copal.NOT_FOUND
    with pytest.raises(copal.ResponseError, match="4.04") as e:
        r.check()
    assert e.value.response is r and e.value.name == "4.04" and e.value.code == 132


def test_what_a_handler_returns_is_the_answer(pair):
    _, server, client = pair
    answers = {
        "text": ("héllo", 69, "héllo".encode(), 0),
        "bytes": (b"\xff", 69, b"\xff", 42),
        "none": (None, 69, b"", None),
        "code": (copal.FORBIDDEN, 131, b"", None),
        "number": (21.5, 69, b"21.5", 0),
        "dict": ({"a": [1]}, 69, b'{"a":[1]}', 50),
        "pair": ((copal.CREATED, "made"), 65, b"made", 0),
        "triple": ((copal.CONTENT, b"<x/>", "xml"), 69, b"<x/>", 41),
        "formatted": (("<x/>", copal.XML), 69, b"<x/>", 41),
        "response": (copal.Response(b"x", max_age=7, etag=b"e"), 69, b"x", 42),
    }
    for name, row in answers.items():
        server.serve("/" + name, lambda req, row=row: row[0])
    for name, (_, code, payload, format) in answers.items():
        r = client.get("coap://server/" + name)
        assert (name, r.code, r.payload, r.format) == (name, code, payload, format)
    assert r.max_age == 7 and r.etag == b"e"


def test_a_server_by_decorator_method_and_table(pair):
    _, server, client = pair
    kept = {}

    @server.serve("/note", method="PUT")
    def put_note(req):
        kept["note"] = req.text
        return copal.CHANGED

    @server.serve("/hello/{name}/{n}")
    async def hello(req):
        return f"hello {req.params['name']} {req.params['n']} {req.query['x']}"

    server.serve("/time", lambda req: "now", rt="clock", title="tells, well, the \"time\"", observable=True)
    server.serve("/box", get=lambda req: "got", post=lambda req: "posted", delete=lambda req: None, if_="box")
    server.serve("/odd", lambda req: str(req.code), method="0.30", unlisted=True)
    server.serve("/any", any=lambda req: str(req.code))

    assert client.put("coap://server/note", "milk").code is copal.CHANGED and kept == {"note": "milk"}
    assert client.get("coap://server/hello/you/2?x=y").text == "hello you 2 y"
    assert client.post("coap://server/box").text == "posted"
    assert client.post("coap://server/box").code is copal.CHANGED
    assert client.delete("coap://server/box").code is copal.DELETED
    assert client.put("coap://server/box", "x").code is copal.METHOD_NOT_ALLOWED
    assert client.request(copal.Message("0.30", "coap://server/odd")).text == "0.30"
    assert client.ipatch("coap://server/any", "x").text == "iPATCH"

    links = client.get("coap://server/.well-known/core").links()
    assert links.filter(rt="clo*", obs=True)[0]["title"] == 'tells, well, the "time"' and links.filter(if_="box")
    assert not links.filter(href="/odd") and str(links.filter(rt="clock")) in str(server.links())
    assert [k.href for k in server.links(if_="box")] == ["/box"]
    server.unserve("/box")
    assert client.get("coap://server/box").code is copal.NOT_FOUND


def test_misuse_of_serve_is_told_at_once(pair):
    _, server, _ = pair
    server.serve("/x", lambda req: "x")
    with pytest.raises(copal.Error) as e:
        server.serve("/x", lambda req: "y")
    assert e.value.name == "EEXIST"
    with pytest.raises(TypeError, match="callable"):
        server.serve("/y", get="text")
    with pytest.raises(ValueError, match="class 0"):
        server.serve("/y", lambda req: 1, method="2.05")


def test_a_slow_handler_answers_separately(pair):
    sim, server, client = pair

    @server.serve("/slow")
    async def slow(req):
        await asyncio.sleep(3)
        return "worth the wait"

    assert client.get("coap://server/slow").text == "worth the wait"
    assert sim.now() == pytest.approx(3, abs=0.01)
    assert "ACK empty" in sim.transcript and 'CON 2.05 0001 "worth the wait"' in sim.transcript


def test_a_handler_that_does_not_wait_answers_in_the_ack(pair):
    sim, server, client = pair

    @server.serve("/quick")
    async def quick(req):
        async with asyncio.timeout(5):
            return "q"

    assert client.get("coap://server/quick").text == "q"
    assert 'ACK 2.05 0001 "q"' in sim.transcript


def test_in_place_handlers_may_use_timeouts_and_task_groups(pair):
    sim, server, client = pair

    @server.serve("/late")
    async def late(req):
        try:
            async with asyncio.timeout(2):
                await asyncio.sleep(10)
        except TimeoutError:
            return "too late"

    @server.serve("/group")
    async def group(req):
        async def part(n):
            await asyncio.sleep(n)
            return str(n)

        async with asyncio.TaskGroup() as g:
            parts = [g.create_task(part(n)) for n in (1, 2)]
        return " ".join(p.result() for p in parts)

    assert client.get("coap://server/late").text == "too late"
    assert client.get("coap://server/group").text == "1 2"
    assert sim.now() == pytest.approx(4, abs=0.1)


def test_an_exception_in_a_handler_is_answered_without_text_and_reported(pair):
    sim, server, client = pair
    heard = []
    sim._loop.set_exception_handler(lambda loop, context: heard.append(context["exception"]))

    @server.serve("/broken")
    def broken(req):
        raise RuntimeError("a secret")

    @server.serve("/later")
    async def later(req):
        await asyncio.sleep(1)
        raise RuntimeError("another")

    server.serve("/odd", lambda req: object())
    for path in ("broken", "later", "odd"):
        r = client.get("coap://server/" + path)
        assert r.code is copal.INTERNAL_ERROR and r.payload == b""
    assert [str(e) for e in heard[:2]] == ["a secret", "another"] and isinstance(heard[2], TypeError)


def test_a_handler_may_ask_others(pair):
    sim, server, client = pair
    third = sim.endpoint("third")
    third.serve("/x", lambda req: "from far")

    @server.serve("/relay")
    async def relay(req):
        return await server.aio.get("coap://third/x")

    @server.serve("/blocking")
    def blocking(req):
        try:
            server.get("coap://third/x")
        except copal.Error as e:
            return e.name

    assert client.get("coap://server/relay").text == "from far"
    assert client.get("coap://server/blocking").text == "ESTATE"


def test_q_block_sends_bodies_both_ways_in_sets_that_nobody_confirms(pair):
    sim, server, client = pair
    server.tune(q_block=True)
    server.serve("/t", post=lambda req: req.payload)
    body = b"x" * 12000
    answer = client.post("coap://server/t", body, non=True, q_block=True)
    assert answer.payload == body
    assert "NON 2.31" in sim.transcript
    assert " q1:11/0/1024" in sim.transcript
    assert " q2:11/0/1024" in sim.transcript


def test_what_is_fresh_is_not_asked_again_unless_the_request_says_no_cache(pair):
    _, server, client = pair
    asked = []

    def answer(req):
        asked.append(req)
        return copal.Response(str(len(asked)), max_age=10)

    server.serve("/t", answer)
    url = "coap://server/t"
    assert [client.get(url).text, client.get(url).text] == ["1", "2"]
    client.tune(cache_memory=65536)
    assert client.get(url).text == "3"
    client.sleep(4)
    kept = client.get(url)
    assert (kept.text, kept.max_age) == ("3", 6)
    assert client.get(url, no_cache=True).text == "4"
    assert client.get(url).text == "4"


def test_a_4_29_is_the_answer_until_its_max_age_is_over(pair):
    _, server, client = pair
    asked = []

    def answer(req):
        asked.append(req)
        if len(asked) == 1:
            return copal.Response("slowly", code=copal.TOO_MANY_REQUESTS, max_age=10)
        return "done"

    server.serve("/t", answer)
    url = "coap://server/t"
    assert client.get(url).code is copal.TOO_MANY_REQUESTS
    client.sleep(4)
    kept = client.get(url)
    assert (kept.text, kept.max_age, len(asked)) == ("slowly", 6, 1)
    client.sleep(6)
    assert client.get(url).text == "done"


def test_silence_is_a_timeout(pair):
    sim, _, client = pair
    sim.lose("client", 5)
    with pytest.raises(copal.Timeout) as e:
        client.get("coap://server/x")
    assert isinstance(e.value, TimeoutError) and e.value.name == "ETIMEOUT" and sim.now() > 60


def test_deadlines_and_parameters_of_one_request(pair):
    sim, _, client = pair
    sim.lose("client", 100)
    with pytest.raises(copal.Timeout):
        client.get("coap://server/x", timeout=1.5)
    assert sim.now() == pytest.approx(1.5, abs=0.01)
    with pytest.raises(copal.Timeout):
        client.get("coap://server/x", ack_timeout=1, ack_random=100, max_retransmit=1)
    assert sim.now() == pytest.approx(4.5, abs=0.01)
    with pytest.raises(copal.Invalid):
        client.get("coap://server/x", block_size=17)
    with pytest.raises(copal.Invalid):
        client.tune(ack_timeout=-1)


def test_a_bad_uri_is_told_when_awaited(pair):
    _, _, client = pair
    with pytest.raises(copal.BadURI):
        client.get("nonsense")
    with pytest.raises(TypeError):
        client.get(7)


def test_a_request_returns_at_once_with_a_readable_repr(pair):
    sim, server, client = pair
    server.serve("/x", lambda req: "x")
    request = client.aio.get("coap://server/x")
    assert repr(request) == "<copal.Request GET coap://server/x (waiting)>"
    assert sim.run(request).text == "x" and "2.05 Content" in repr(request)
    gone = client.aio.get("coap://server/x")
    assert gone.cancel() and not gone.cancel() and "cancelled" in repr(gone)


def test_three_in_parallel_are_taken_as_they_finish(pair):
    _, server, client = pair

    @server.serve("/wait/{s}")
    async def wait(req):
        await asyncio.sleep(float(req.params["s"]))
        return req.params["s"]

    client.tune(nstart=4)
    uris = [f"coap://server/wait/{s}" for s in (3, 1, 2)] + ["nonsense"]
    taken = [(uri, r if isinstance(r, copal.Error) else r.text) for uri, r in client.get_all(uris, limit=4)]
    assert taken[0][0] == "nonsense" and isinstance(taken[0][1], copal.BadURI)
    assert taken[1:] == [(f"coap://server/wait/{s}", str(s)) for s in (1, 2, 3)]

    async def completed():
        return [(await r).uri for r in asyncio.as_completed([client.aio.get(u) for u in uris[:3]])]

    assert client.run(completed()) == [f"coap://server/wait/{s}" for s in (1, 2, 3)]


def test_leaving_get_all_cancels_the_rest(pair):
    sim, server, client = pair

    @server.serve("/{n}")
    async def slow(req):
        await asyncio.sleep(0 if req.params["n"] == "0" else 100)
        return "x"

    for uri, r in client.get_all([f"coap://server/{n}" for n in range(4)], timeout=500):
        break
    assert r.text == "x"
    sim.run(1)
    assert client.stats.exchanges_open == 0


def test_cancelling_cancels_on_the_wire(pair):
    sim, _, client = pair
    sim.lose("client", 100)

    async def main():
        task = asyncio.ensure_future(client.aio.get("coap://server/x"))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.aio.get("coap://server/y"), 1)
        return client.stats.exchanges_open

    assert sim.run(main()) == 0
    sim.run(100)
    assert sim.transcript.count("\n") <= 2


def test_observing_goes_on_until_the_loop_is_left(pair):
    sim, server, client = pair
    t = server.value("/temp", 0)
    server.every(5, lambda: setattr(t, "value", t.value + 1))
    seen = []
    for n in client.observe("coap://server/temp"):
        seen.append(n.text)
        if len(seen) == 3:
            break
    assert seen == ["0", "1", "2"] and sim.now() == pytest.approx(10, abs=0.1)
    sim.run(1)
    assert server.stats.observers == 0 and client.stats.exchanges_open == 0


def test_leaving_a_loop_over_a_held_observation_deregisters_with_it(pair):
    sim, server, client = pair
    server.value("/temp", 1)

    async def main():
        obs = client.aio.observe("coap://server/temp")
        assert (await obs).text == "1"
        async with obs:
            assert server.stats.observers == 1
        await asyncio.sleep(1)
        with pytest.raises(copal.Closed):
            await obs.next()
        dropped = client.aio.observe("coap://server/temp")
        await dropped
        del dropped
        await asyncio.sleep(1)

    sim.run(main())
    assert server.stats.observers == 0


def test_an_exception_inside_the_loop_deregisters(pair):
    sim, server, client = pair
    server.value("/temp", 1)
    with pytest.raises(ZeroDivisionError):
        for n in client.observe("coap://server/temp"):
            1 / 0
    sim.run(1)
    assert server.stats.observers == 0


def test_what_cannot_be_observed_says_so(pair):
    _, server, client = pair
    server.serve("/plain", lambda req: "x")
    seen = []
    with pytest.raises(copal.Error) as e:
        for n in client.observe("coap://server/plain"):
            seen.append(n.text)
    assert seen == ["x"] and e.value.name == "ENOTOBS"


def test_a_watch_tells_when_it_falls_silent_and_resumes(pair):
    sim, server, client = pair
    t = server.value("/temp", 1)
    events = []

    async def main():
        async for n in client.aio.watch("coap://server/temp", silence=30):
            events.append(n.event)
            if n.event == "silent":
                assert n.reason and n.error is None or n.error.name
                sim.endpoint("server").value("/temp", 2)
            elif events.count("value") == 2:
                break
            elif n.event == "value":
                sim.crash(server)

    sim.run(main())
    assert events == ["value", "silent", "resumed", "value"]
    assert t.value == 1


def test_bodies_of_many_blocks_are_whole(pair):
    sim, server, client = pair
    kept = {"body": bytes(range(256)) * 20}
    server.serve("/block", get=lambda req: kept["body"], put=lambda req: kept.update(body=req.payload))
    assert client.get("coap://server/block").payload == kept["body"]
    new = os.urandom(3000)
    assert client.put("coap://server/block", new).code is copal.CHANGED and kept["body"] == new
    assert "Block1" in str(client.get("coap://server/block", block_size=64).options) or sim.transcript


class File(io.BytesIO):
    pass


def generator(body):
    for i in range(0, len(body), 700):
        yield body[i : i + 700]


async def async_generator(body):
    for i in range(0, len(body), 700):
        await asyncio.sleep(0.1)
        yield body[i : i + 700]


class Unseekable(io.RawIOBase):
    def __init__(self, body):
        self.inner = io.BytesIO(body)

    def readable(self):
        return True

    def read(self, n=-1):
        return self.inner.read(min(n, 100))


@pytest.mark.parametrize("kind", [File, generator, async_generator, Unseekable])
@pytest.mark.parametrize("size", [0, 1, 1024, 5000, 8192])
def test_a_large_file_is_sent_piece_by_piece(pair, kind, size):
    _, server, client = pair
    body, kept, told = os.urandom(size), [], []
    server.serve("/up", put=lambda req: kept.append(req.payload))
    client.put("coap://server/up", kind(body), progress=lambda done, total: told.append(done)).check()
    assert kept == [body] and told == sorted(told)


@pytest.mark.parametrize("kind", [File, generator, async_generator])
def test_a_download_may_come_from_a_file_and_go_to_one(pair, kind):
    _, server, client = pair
    body, told = os.urandom(5000), []
    server.serve("/down", lambda req: kind(body))
    to = io.BytesIO()
    r = client.get("coap://server/down", sink=to, progress=lambda done, total: told.append((done, total)))
    assert r.code is copal.CONTENT and to.getvalue() == body and told[-1][0] == 5000
    assert client.get("coap://server/down").payload == body


def test_a_download_that_broke_off_goes_on(pair):
    _, server, client = pair
    body, to = os.urandom(5000), io.BytesIO()
    server.serve("/down", lambda req: body)

    def some(piece):
        to.write(piece)
        if to.tell() > 2000:
            raise OSError("disk full")

    request = client.aio.get("coap://server/down", sink=some)
    with pytest.raises(OSError, match="full"):
        client.run(request)
    etag = request.response.etag
    assert 0 < to.tell() < 5000
    client.get("coap://server/down", sink=to, resume=(to.tell(), etag))
    assert to.getvalue() == body
    assert client.get("coap://server/down", resume=(4321, etag)).payload == body[4321:]
    with pytest.raises(copal.Error, match="changed") as e:
        client.get("coap://server/down", resume=(16, b"x"))
    assert e.value.name == "ECHANGED"
    with pytest.raises(ValueError):
        client.get("coap://server/down", resume=16)


def test_an_upload_that_broke_off_goes_on(pair):
    _, server, client = pair
    body, kept, told = os.urandom(5000), [], []
    server.serve("/up", put=lambda req: kept.append(req.payload))

    def progress(done, total):
        told.append(done)
        if done >= 2048:
            request.cancel()

    request = client.aio.put("coap://server/up", body, request_tag=b"1", progress=progress)
    with pytest.raises(asyncio.CancelledError):
        client.run(request)
    client.put("coap://server/up", io.BytesIO(body), request_tag=b"1", resume=told[-1]).check()
    assert kept == [body]


def test_a_streamed_resource_takes_its_body_in_pieces(pair):
    sim, server, client = pair
    body, pieces = os.urandom(6000), []

    @server.serve("/up", method="PUT", streamed=True)
    async def up(req):
        async for piece in req.chunks():
            await asyncio.sleep(0.2)
            pieces.append(piece)
        return copal.CHANGED, str(sum(map(len, pieces)))

    assert client.put("coap://server/up", body, timeout=90).text == "6000"
    assert b"".join(pieces) == body and len(pieces) > 1


@pytest.mark.parametrize("is_busy", [False, True])
def test_an_upload_that_breaks_off_is_an_error_in_its_loop(pair, is_busy):
    sim, server, client = pair
    pieces, ended, errors, reported = [], [], [], []
    sim._loop.set_exception_handler(lambda loop, context: reported.append(context))

    @server.serve("/up", method="PUT", streamed=True)
    async def up(req):
        try:
            async for piece in req.chunks():
                if is_busy:
                    await asyncio.sleep(1)
                pieces.append(piece)
            ended.append(True)
        except copal.Error as e:
            errors.append(e)
        async for piece in req.chunks():
            pass
        ended.append(True)

    def progress(done, total):
        if done > 4000:
            sim.crash(client)

    client.aio.put("coap://server/up", bytes(20000), progress=progress).add_done_callback(lambda r: r.exception())
    sim.run(900)
    assert 4000 < sum(map(len, pieces)) < 20000
    assert len(errors) == 1 and not ended and not reported


def test_who_asks_for_no_chunks_is_cancelled_when_the_asker_leaves(pair):
    sim, server, client = pair
    over = []

    @server.serve("/up", method="PUT", streamed=True)
    async def up(req):
        try:
            await asyncio.sleep(10000)
        except asyncio.CancelledError:
            over.append(True)
            raise

    def progress(done, total):
        if done > 2000:
            sim.crash(client)

    client.aio.put("coap://server/up", bytes(20000), progress=progress).add_done_callback(lambda r: r.exception())
    sim.run(900)
    assert over


def test_a_failing_file_fails_the_request_with_its_own_exception(pair):
    _, server, client = pair
    server.serve("/up", put=lambda req: None)
    server.serve("/down", lambda req: b"x" * 5000)

    def broken():
        yield b"x" * 2000
        raise OSError("disk on fire")

    def full(piece):
        raise OSError("disk full")

    with pytest.raises(OSError, match="on fire"):
        client.put("coap://server/up", broken())
    with pytest.raises(OSError, match="full"):
        client.get("coap://server/down", sink=full)
    with pytest.raises(TypeError, match="binary"):
        client.put("coap://server/up", io.StringIO("text"))


def test_ping(pair):
    sim, _, client = pair
    assert client.ping("coap://server") is True
    with pytest.raises(copal.Error):
        client.ping("coap://nobody")
    assert "RST" in sim.transcript


def test_strays_and_raw_messages(pair):
    sim, server, client = pair

    async def main():
        heard = server.aio.strays()
        first = asyncio.ensure_future(anext(heard))
        await asyncio.sleep(0)
        client.aio.send(copal.Message("2.05", None, b"odd", non=True), "coap://server")
        m = await first
        await heard.aclose()
        return m

    m = sim.run(main())
    assert m.payload == b"odd" and m.code is copal.CONTENT and m.type == "NON"


def test_a_capture_is_written_until_told(pair, tmp_path):
    _, server, client = pair
    server.serve("/t", lambda req: "t")
    path = tmp_path / "c.pcapng"
    client.log_to("capture", path)
    client.get("coap://server/t")
    client.log_to("capture", None)
    kept = path.read_bytes()
    assert kept[:4] == b"\x0a\x0d\x0d\x0a" and b"server:5683 to client:5683" in kept
    client.get("coap://server/t")
    assert path.read_bytes() == kept
    with pytest.raises(copal.Error, match="/no/such") as e:
        client.log_to("capture", "/no/such/folder")
    assert e.value.name == "ENOENT"
    with pytest.raises(ValueError, match="capture"):
        client.log_to("pictures", path)


def test_a_recording_is_written(pair, tmp_path):
    _, server, client = pair
    server.serve("/t", lambda req: "t")
    path = tmp_path / "flight.rec"
    with pytest.raises(copal.Error, match="record_memory") as e:
        client.log_to("recording", path)
    assert e.value.name == "ESTATE"
    client.tune(record_memory=65536)
    client.get("coap://server/t")
    client.log_to("recording", path)
    assert path.read_bytes()[:8] == b"copalrec"


def test_a_recording_is_run_again(pair, tmp_path):
    _, server, client = pair
    server.serve("/t", lambda req: "21.5")
    path = tmp_path / "flight.rec"
    client.tune(record_memory=65536)
    client.get("coap://server/t")
    client.log_to("recording", path)
    seen = []
    copal.replay(path, seen.append)
    assert [e["ev"] for e in seen if e["ev"] in ("out", "in")] == ["out", "in"]
    assert seen[-1]["ev"] == "replay"
    copal.replay(str(path))


def test_where_a_recording_is_not_the_same_is_told(pair, tmp_path):
    path = tmp_path / "flight.rec"
    with pytest.raises(copal.Error, match="flight.rec") as e:
        copal.replay(path)
    assert e.value.name == "ENOENT"
    path.write_bytes(b"copalrec, but no more")
    with pytest.raises(copal.Error) as e:
        copal.replay(path)
    assert e.value.name == "EFORMAT"
    with pytest.raises(TypeError):
        copal.replay(None)


def test_what_is_raised_amid_a_replay_comes_out_of_it(pair, tmp_path):
    _, server, client = pair
    path = tmp_path / "flight.rec"
    client.tune(record_memory=65536)
    client.get("coap://server/t")
    client.log_to("recording", path)
    with pytest.raises(KeyError):
        copal.replay(path, lambda event: event["nothing"])


def test_trace_gives_dicts(pair):
    _, server, client = pair
    seen = []
    client.trace("wire state", seen.append)
    client.get("coap://server/x")
    client.trace("wire", None)
    n = len(seen)
    client.get("coap://server/x")
    assert n > 0 and len(seen) == n and all("ev" in e for e in seen)
    with pytest.raises(ValueError):
        client.trace("nonsense", seen.append)


def test_after_and_every_may_be_async_and_cancelled(pair):
    sim, server, _ = pair
    seen = []

    async def later():
        await asyncio.sleep(1)
        seen.append(sim.now())

    server.after(1, later)
    timer = server.every(2, lambda: seen.append("tick"))
    sim.run(5)
    assert timer.cancel() and not timer.cancel()
    sim.run(5)
    assert seen == [pytest.approx(2, abs=0.01), "tick", "tick"] or seen == ["tick", pytest.approx(2, abs=0.01), "tick"]


def test_a_full_queue_of_notifications_is_held_back(pair):
    sim, server, client = pair
    t = server.value("/temp", 0)

    async def main():
        obs = client.aio.observe("coap://server/temp")
        await obs
        for i in range(1, 200):
            t.value = i
            await asyncio.sleep(0.01)
        taken = 0
        while (n := await obs).text != "199":
            taken += 1
        return taken

    assert sim.run(main()) <= 66


def test_the_same_seed_is_the_same_run():
    def run(seed):
        with copal.Sim(seed=seed, loss=30, jitter=0.1) as sim:
            server, client = sim.endpoint("server"), sim.endpoint("client")
            server.serve("/x", lambda req: "x" * 3000)
            for _ in range(5):
                client.get("coap://server/x")
            return sim.transcript

    assert run(7) == run(7) != run(8)


def test_waiting_for_what_cannot_come_is_an_error(copal_sim):
    with pytest.raises(RuntimeError, match="cannot come"):
        copal_sim.run(asyncio.Future(loop=copal_sim._loop))


def test_a_host_crashes_and_comes_back(pair):
    sim, server, client = pair
    server.serve("/x", lambda req: "one")
    assert client.get("coap://server/x").text == "one"
    sim.crash(server)
    with pytest.raises(copal.Closed):
        server.get("coap://client/")
    sim.endpoint("server").serve("/x", lambda req: "two")
    assert client.get("coap://server/x").text == "two"
    with pytest.raises(copal.Error) as e:
        sim.endpoint("client")
    assert e.value.name == "EEXIST"


def test_who_wants_no_answer_is_done_when_it_is_acknowledged_or_sent(pair):
    sim, server, client = pair
    server.serve("/t", lambda req: "t")
    assert client.put("coap://server/t", "x", no_response=26) is None
    assert "ACK empty 0001" in sim.transcript
    assert client.put("coap://server/t", "x", no_response=26, non=True) is None
    assert sim.now() < 1
