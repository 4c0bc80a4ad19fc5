"""The module under the package: handles that cannot be misused."""

import gc
import threading
import time
import weakref

import pytest

import copal
from copal import _copal


class Fake(_copal.Message):
    pass


FOREIGN = [None, 7, "text", object(), open, Fake()]


@pytest.mark.parametrize("what", FOREIGN, ids=lambda x: type(x).__name__)
def test_foreign_objects_are_refused(what):
    c = _copal.endpoint()
    for call in (
        lambda: _copal.step(what),
        lambda: _copal.free(what),
        lambda: _copal.stats(what),
        lambda: _copal.msg_code(what),
        lambda: _copal.options(what),
        lambda: _copal.cancel(what),
        lambda: _copal.reply(what, 69, 0, b""),
        lambda: _copal.sim_run(what, 1),
        lambda: _copal.request(c, what, None),
    ):
        with pytest.raises(TypeError):
            call()
    _copal.free(c)


def test_types_cannot_be_made_by_hand():
    for t in (_copal.Endpoint, _copal.Exchange, _copal.Sim):
        with pytest.raises(TypeError):
            t()


def test_wrong_arguments_are_type_and_value_errors():
    c = _copal.endpoint()
    with pytest.raises(TypeError):
        _copal.after(c, "1", None)
    with pytest.raises(ValueError):
        _copal.after(c, -1, None)
    with pytest.raises(TypeError):
        _copal.after(c, 1, 7)
    with pytest.raises(TypeError):
        _copal.after(c, 1)
    with pytest.raises(TypeError):
        _copal.msg_add(_copal.msg_new(c, 1), 1, "text")
    with pytest.raises(ValueError):
        _copal.msg_new(c, 1 << 70)
    _copal.free(c)


def test_closing_twice_and_use_after_close():
    c = _copal.endpoint()
    m = _copal.msg_new(c, 1)
    _copal.free(c)
    _copal.free(c)
    with pytest.raises(copal.Closed):
        _copal.step(c)
    assert _copal.msg_code(m) == 1 and bytes(m) == b""


def test_exchanges_and_messages_outlive_the_endpoint():
    with copal.Sim() as sim:
        server, client = sim.endpoint("server"), sim.endpoint("client")
        kept = []
        server.serve("/{name}", lambda req: kept.append(req) or "x" * 3000)
        r = client.get("coap://server/x")
        request = client.aio.get("coap://server/y")
    assert r.text == "x" * 3000 and bytes(memoryview(r)[:2]) == b"xx"
    assert kept[0].params == {"name": "x"} and kept[0].path == ("x",)
    with pytest.raises(copal.Closed):
        request.result()
    with pytest.raises(copal.Error):
        _copal.reply(kept[0]._exchange, 69, 0, b"")


def test_a_husk_answers_every_question_politely():
    c = _copal.endpoint()
    m = _copal.msg_new(c, 1)
    _copal.msg_set_uri(m, "coap://127.0.0.1:9/")
    ends = []
    x = _copal.request(c, m, lambda *ev: ends.append(ev))
    _copal.free(c)
    assert len(ends) == 1 and ends[0][:2] == (_copal.END, "ECLOSED")
    for call in (_copal.cancel, _copal.pause, _copal.resume):
        with pytest.raises(copal.Error):
            call(x)
    assert _copal.key(x) == ends[0][3]


def test_callbacks_are_let_go_of_exactly_once(nothing_left):
    class Callback:
        def __call__(self, *ev):
            pass

    c = _copal.endpoint()
    made = [Callback() for _ in range(4)]
    refs = [weakref.ref(f) for f in made]
    _copal.serve(c, 1, "/x", 0, made[0])
    with pytest.raises(copal.Error):
        _copal.serve(c, 1, "/x", 0, made[1])
    _copal.after(c, 0, made[2])
    _copal.post(c, made[3])
    made.clear()
    assert [r() is not None for r in refs] == [True, False, True, True]
    while any(r() for r in refs[2:]):
        _copal.step(c)
    _copal.unserve(c, "/x")
    assert refs[0]() is None
    _copal.free(c)


def test_a_destructor_may_use_the_endpoint_that_drops_it(nothing_left):
    c = _copal.endpoint()
    seen = []

    class Meddler:
        def __call__(self, *ev):
            pass

        def __del__(self):
            seen.append(_copal.is_alive(c))
            _copal.serve(c, 1, f"/{len(seen)}", 0, None)

    _copal.serve(c, 1, "/x", 0, Meddler())
    _copal.unserve(c, "/x")
    _copal.strays(c, Meddler())
    _copal.strays(c, None)
    assert seen == [True, True]
    _copal.free(c)


def test_a_cycle_through_c_is_collected(nothing_left):
    c = _copal.endpoint()

    def callback(*ev):
        return c, callback

    _copal.serve(c, 1, "/x", 0, callback)
    _copal.get(c, "coap://127.0.0.1:9/", callback)
    gone = weakref.ref(callback)
    del c, callback
    gc.collect()
    assert gone() is None


def test_the_endpoint_may_be_freed_in_its_own_callback(nothing_left):
    c = _copal.endpoint()
    seen = []

    def callback(*ev):
        seen.append(ev[0])
        _copal.free(c)
        with pytest.raises(copal.Closed):
            _copal.step(c)

    _copal.after(c, 0, callback)
    while not seen:
        _copal.step(c)
    assert seen == [_copal.TIMER] and not _copal.is_alive(c)


def test_collection_on_another_thread_is_safe(nothing_left):
    with copal.BlockingEndpoint(listen="coap://127.0.0.1:0") as c:
        c.serve("/x", lambda req: b"x" * 3000, observable=True)
        uri = c.addresses[0] + "/x"
        stop = threading.Event()
        garbage = []

        def collect():
            while not stop.is_set():
                while garbage:
                    garbage.pop()
                gc.collect()
                time.sleep(0.005)

        t = threading.Thread(target=collect)
        t.start()
        try:
            for _ in range(40):
                r = c.get(uri)
                cycle = [r, memoryview(r), c.aio.get(uri)]
                cycle.append(cycle)
                garbage.append(cycle)
                o = c.observe(uri)
                o.next()
                garbage.append([iter(o), o])
                del r, o, cycle
        finally:
            stop.set()
            t.join()
        garbage.clear()
        deadline = time.monotonic() + 10  # each farewell waits for its answer
        while c.stats.exchanges_open > 0 and time.monotonic() < deadline:
            c.sleep(0.02)
        assert c.stats.observers == 0 and c.stats.exchanges_open == 0


def test_an_endpoint_may_be_collected_on_another_thread(nothing_left):
    boxes = []
    for _ in range(20):
        c = _copal.endpoint()
        _copal.listen(c, "coap://127.0.0.1:0", 0)
        _copal.get(c, "coap://127.0.0.1:9/", lambda *ev: None)
        _copal.step(c)
        boxes.append(c)
    del c
    t = threading.Thread(target=boxes.clear)
    t.start()
    t.join()


def test_reference_counts_stay_where_they_are():
    import sys

    c = _copal.endpoint()
    for value in (None, True, False, "x", b"x"):
        before = sys.getrefcount(value)
        for _ in range(300):
            m = _copal.msg_new(c, 1)
            _copal.msg_set_payload(m, 0, b"x")
            _copal.msg_add(m, 4, b"y")
            _copal.options(m), _copal.msg_wire(m), _copal.msg_value(m, 9, 0), _copal.msg_identity(m)
            _copal.is_alive(c), _copal.stats(c)
            _copal.cancel_timer(c, _copal.after(c, 5, print))
            try:
                _copal.msg_set_uri(m, "nonsense")
            except copal.Error:
                pass
        assert abs(sys.getrefcount(value) - before) < 200
    _copal.free(c)
