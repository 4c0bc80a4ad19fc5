"""Groups: joining, asking all members, and finding who is out there."""

import asyncio

import copal
import pytest

GROUP = "coap://224.0.1.187"


@pytest.fixture
def members(copal_sim):
    """A client and three servers that have joined."""
    sim = copal_sim
    for i in (1, 2, 3):
        dev = sim.endpoint(f"dev{i}")
        dev.serve("/name", lambda req, i=i: f"I am {i}", group=True, rt="name" if i < 3 else "lamp")
        dev.join(GROUP)
    return sim.endpoint("client")


def test_every_member_answers(members):
    answers = {r.remote.hostinfo: r.text for r in members.answers(GROUP + "/name")}
    assert answers == {"dev1": "I am 1", "dev2": "I am 2", "dev3": "I am 3"}
    assert not list(members.find(rt="nothing"))
    with pytest.raises(copal.Timeout, match="nobody in the group"):
        list(members.answers(GROUP + "/nothing"))
    with pytest.raises(copal.Invalid, match="cannot confirm"):
        members.get(GROUP + "/name")


def test_devices_are_found_with_their_links(members):
    found = {str(dev): dev for dev in members.find()}
    assert sorted(found) == ["coap://dev1", "coap://dev2", "coap://dev3"]
    dev = found["coap://dev1"]
    assert dev.remote.host == "dev1" and repr(dev) == "<copal.Device coap://dev1>"
    assert [(k.href, k.uri) for k in dev.links(rt="name")] == [("/name", "coap://dev1/name")]
    assert not dev.links(rt="lamp")
    assert [str(dev) for dev in members.find(rt="lamp", wait=6)] == ["coap://dev3"]
    assert not list(members.find(group="coap://224.0.1.188"))


def test_in_asyncio_it_is_the_same(members):
    async def look():
        found = [dev async for dev in members.aio.find(rt="name")]
        answers = [r.text async for r in members.aio.answers(GROUP + "/name")]
        return sorted(map(str, found)), sorted(answers)

    found, answers = members.run(look())
    assert found == ["coap://dev1", "coap://dev2"] and len(answers) == 3


def test_leaving_the_search_early_gives_it_up(members):
    async def first():
        search = members.aio.find()
        async for dev in search:
            await search.aclose()
            return dev

    assert str(members.run(first())).startswith("coap://dev")


def test_membership_has_its_errors(members):
    with pytest.raises(copal.Error) as e:
        members.leave(GROUP)
    assert e.value.name == "ENOENT"
    members.join(GROUP)
    with pytest.raises(copal.Error) as e:
        members.join(GROUP)
    assert e.value.name == "EEXIST"


def test_on_loopback_by_real_sockets():
    async def run():
        async with copal.Endpoint(leisure=0) as server, copal.Endpoint() as client:
            names = [name for name, _ in client.interfaces]
            if not names:
                pytest.skip("no interface can multicast")
            server.serve("/t", lambda req: "here", group=True, rt="t")
            server.listen("coap://*:0")
            group = f"{GROUP}:{copal.Message('GET', server.addresses[0]).remote.port}"
            server.join(group, names[-1])
            found = [dev async for dev in client.find(group=group, interface=names[-1], wait=0.5)]
            if not found:
                pytest.skip(f"no multicast on {names[-1]}")
            assert [k.href for k in found[0].links(rt="t")] == ["/t"]
            texts = [r.text async for r in client.answers(group + "/t", interface=names[-1], timeout=0.3)]
            assert texts == ["here"]
            with pytest.raises(copal.Error, match="no such network interface"):
                [dev async for dev in client.find(interface="no-such-interface0")]

    asyncio.run(run())
