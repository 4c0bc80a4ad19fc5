"""Errors of handlers, which strangers can cause as often as they like, are told in
bounds. As in Lua: tests/lua/logs.lua."""

import logging

import pytest

import copal


def world(sim, **parameters):
    told = []
    sim._loop.set_exception_handler(lambda loop, context: told.append(context))
    server = sim.endpoint("server", **parameters)

    @server.serve("/bad")
    def bad(req):
        raise KeyError("on purpose")

    return server, told


def ask(sim, first, count):
    """NON GET /bad, each with a message id of its own."""
    for mid in range(first, first + count):
        sim.inject(f"stranger{mid % 7}", "server", bytes([0x50, 1]) + mid.to_bytes(2, "big") + b"\xb3bad")
    sim.run(0.001)


def test_ten_are_told_at_once_then_one_a_second_with_how_many_were_not(copal_sim):
    server, told = world(copal_sim)
    ask(copal_sim, 1, 500)
    assert [t["left_out"] for t in told] == [0] * 10
    ask(copal_sim, 501, 100)
    assert len(told) == 10
    copal_sim.run(1.0)
    ask(copal_sim, 601, 100)
    assert len(told) == 11
    assert told[10]["left_out"] == 590
    assert told[10]["message"].endswith(" (590 more like it were left out)")
    assert isinstance(told[10]["exception"], KeyError)
    copal_sim.run(60.0)
    ask(copal_sim, 701, 100)
    assert len(told) == 21
    assert told[11]["left_out"] == 99
    assert "\ncopal_log_left_out_total 779\n" in server.metrics_text()


def test_how_many_can_be_said_by_log_burst_and_log_rate(copal_sim):
    server, told = world(copal_sim, log_burst=3, log_rate=10)
    ask(copal_sim, 1, 100)
    assert len(told) == 3
    copal_sim.run(0.5)
    ask(copal_sim, 101, 100)
    assert len(told) == 6
    server.tune(None, log_burst=0)
    ask(copal_sim, 201, 100)
    assert len(told) == 106


def test_timers_and_handlers_do_not_take_each_others_lines(copal_sim):
    server, told = world(copal_sim)
    ask(copal_sim, 1, 100)
    assert len(told) == 10

    def fail():
        raise ValueError("a timer")

    server.after(0, fail)
    copal_sim.run(0.1)
    assert len(told) == 11
    assert isinstance(told[10]["exception"], ValueError)


def test_without_a_handler_of_ones_own_it_goes_to_the_log(copal_sim, caplog):
    server, _ = world(copal_sim)
    copal_sim._loop.set_exception_handler(None)
    with caplog.at_level(logging.ERROR, logger="asyncio"):
        ask(copal_sim, 1, 100)
        copal_sim.run(1.0)
        ask(copal_sim, 101, 1)
    assert len(caplog.records) == 11
    assert "(90 more like it were left out)" in caplog.records[10].getMessage()


def test_metrics_are_given_by_http():
    import http.client

    with copal.BlockingEndpoint() as coap:
        port = coap.metrics("127.0.0.1:0")
        with pytest.raises(copal.Error, match="in use|another program"):
            with copal.BlockingEndpoint() as other:
                other.metrics(port)

        async def ask_them():
            import asyncio

            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, connection.request, "GET", "/metrics")
            answer = await loop.run_in_executor(None, connection.getresponse)
            return answer.status, answer.getheader("Content-Type"), answer.read().decode()

        status, kind, text = coap.run(ask_them())
        assert status == 200
        assert kind == "text/plain; version=0.0.4; charset=utf-8"
        assert f'copal_build_info{{version="{copal.__version__}"}} 1' in text
        assert coap.metrics(None) == 0
        with pytest.raises(ValueError, match="127.0.0.1:9100"):
            coap.metrics("nowhere")
