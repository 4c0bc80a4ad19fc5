"""What some devices want to be asked like: Endpoint.profile()."""

import copal
import pytest


@pytest.fixture
def device(copal_sim):
    """A client, and what a device has seen of each request."""
    seen = []
    server = copal_sim.endpoint("device")
    for option in (2049, 2053):
        server.understand(option)

    def answer(req):
        seen.append(str(req.options))
        return b"x"

    server.serve("/t", get=answer, put=lambda req: seen.append(str(req.options)))
    return copal_sim.endpoint("client"), seen, copal_sim


def test_a_request_gets_what_is_not_in_it(device):
    client, seen, _ = device
    client.profile("coap://device", "samsung-ocf")
    client.get("coap://device/t")
    assert "Accept: 10000" in seen[-1] and "2049: 0800" in seen[-1] and "2053" not in seen[-1]
    client.put("coap://device/t", b"\xa0")
    assert "Content-Format: 10000" in seen[-1] and "2053: 0800" in seen[-1]
    client.get("coap://device/t", accept="text", options={2049: 4096})
    assert "Accept: 0" in seen[-1] and "2049: 1000" in seen[-1] and "0800" not in seen[-1]
    client.profile("coap://device", None)
    client.get("coap://device/t")
    assert "2049" not in seen[-1]


def test_confirmed_or_not_is_up_to_who_says_so(device):
    client, _, sim = device
    client.profile(None, "shelly")
    client.get("coap://device/t")
    assert "NON GET" in sim.transcript and "CON GET" not in sim.transcript
    client.get("coap://device/t", non=False)
    assert "CON GET" in sim.transcript


def test_a_node_that_sleeps_is_asked_once(device):
    client, _, sim = device
    client.profile("coap://device", "thread-sleepy")
    sim.set_path(delay=5)
    assert client.get("coap://device/t").payload == b"x"
    assert client.stats.retransmissions == 0


def test_who_is_not_known_is_told_who_is(device):
    with pytest.raises(copal.Invalid, match="samsung-ocf, shelly, thread-sleepy and tradfri"):
        device[0].profile(None, "nonsense")
