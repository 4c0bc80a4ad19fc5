"""A watch lives through what servers do: it tells each once, and heals."""

import asyncio
import socket
import subprocess
import sys

import pytest

import copal
from conftest import within

URI = "coap://server/t"


class World:
    """A simulated server that dies and comes back, and what a watch of it told:
    ``1 silent resumed 2``."""

    def __init__(self, sim):
        self.sim = sim
        self.client = sim.endpoint("client")
        self.told, self.reasons = [], []
        self.begin(1)

    def begin(self, value):
        self.server = self.sim.endpoint("server")
        self.value = self.server.value("/t", value)

    def die(self):
        self.sim.crash(self.server)

    def hear(self, n, steps):
        """True: that was the last one."""
        self.told.append(n.text if n.event == "value" else n.event)
        self.reasons.append(n.reason)
        steps[len(self.told) - 1]()
        return len(self.told) == len(steps)

    def blocking(self, steps, **options):
        for n in self.client.watch(URI, **options):
            if self.hear(n, steps):
                break

    def asyncio(self, steps, **options):
        async def main():
            async for n in self.client.aio.watch(URI, **options):
                if self.hear(n, steps):
                    break

        self.sim.run(main())


def nothing():
    pass


@pytest.fixture(params=["blocking", "asyncio"])
def world(request, copal_sim):
    w = World(copal_sim)
    w.watch = getattr(w, request.param)
    return w


def test_a_server_killed_and_begun_anew_is_told_and_heard_again(world):
    world.watch([world.die, lambda: world.begin(2), nothing, nothing])
    assert world.told == ["1", "silent", "resumed", "2"]
    assert URI in world.reasons[1] and world.reasons[0] is None


def test_30_s_of_silence_are_told_and_their_end(world):
    at = []

    def mend():
        at.append(world.sim.now())
        world.sim.set_path()

    world.watch([lambda: world.sim.set_path(loss=100), mend, nothing, nothing], silence=30)
    assert world.told == ["1", "silent", "resumed", "1"]
    assert 30 <= at[0] < 31 and "30 s" in world.reasons[1]


def test_a_refused_port_is_told_by_its_name(world):
    world.sim.refuse("server")
    world.watch([world.die, lambda: world.begin(2), nothing, nothing])
    assert world.told == ["1", "silent", "resumed", "2"]
    assert "nothing listens" in world.reasons[1]


def test_a_server_that_forgot_us_is_told_again_who_listens(world):
    def reboot():
        world.die()
        world.begin(2)

    def change():
        world.value.value = 3

    world.watch([reboot, change, nothing])
    assert world.told == ["1", "2", "3"]


def test_who_takes_nothing_for_long_gets_the_newest(copal_sim):
    """What is not taken is held back, not piled up."""
    world = World(copal_sim)

    async def main():
        watch = world.client.aio.watch(URI)
        assert (await watch.next()).text == "1"
        for i in range(500):
            world.value.value = i
            await asyncio.sleep(1)
        seen = []
        while not seen or seen[-1] != "499":
            seen.append((await watch.next()).text)
        assert len(seen) < 100
        watch.cancel()

    copal_sim.run(main())


SERVER = """
import sys, copal
coap = copal.BlockingEndpoint()
coap.value("/t", "here")
coap.listen(sys.argv[1])
print("ready", flush=True)
coap.forever()
"""


def start(base):
    process = subprocess.Popen([sys.executable, "-c", SERVER, base], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_a_process_that_dies_and_comes_back_at_its_port_is_heard_again():
    base = f"coap://127.0.0.1:{free_port()}"
    told = []

    async def main():
        process = start(base)
        try:
            async with copal.Endpoint() as coap:
                async for n in coap.watch(base + "/t", silence=2):
                    told.append(n.event)
                    if n.event == "silent":
                        process = start(base)
                    elif len(told) == 1:
                        process.kill()
                        process.wait()
                    elif n.event == "value":
                        break
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    within(main(), 30)
    assert told == ["value", "silent", "resumed", "value"]
