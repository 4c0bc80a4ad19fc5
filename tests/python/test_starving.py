"""Everyday work while Python's own memory runs out at any one point: of each
request the end is told once, and it is the truth; nothing crashes, and nothing is
left behind.

Memory runs out from where a request is begun to where its network is quiet, in
the bridge and in what serves, not in asyncio, which does not survive that
itself: of what asyncio awaits, in the steps that are the front's own. In a process
of its own, so that a crash is told."""

import pytest
from conftest import script

pytest.importorskip("_testcapi", reason="this Python has no _testcapi, which makes memory run out")

PLAY = r"""
import faulthandler, gc, sys
import _testcapi
import copal
from copal import _copal
from copal._message import build

LONG = b"0123456789" * 300
MORE = 100  # allocations, after those of the play
faulthandler.enable()
sys.unraisablehook = lambda *args: None


def bug(req):
    raise ValueError("no text")


class Play:
    def __init__(self, n):
        self.sim = copal.Sim(5, delay=0.01)
        self.sim._loop.set_exception_handler(lambda *args: None)
        self.server, self.client = self.sim.endpoint("server"), self.sim.endpoint("client")
        self.server.serve("/t", get=lambda req: "21.5", put=lambda req: req.payload)
        self.server.serve("/{name}/x", lambda req: {"a": req.path})
        self.server.serve("/bug", bug)
        self.server.serve("/junk", lambda req: lambda: None)
        self.server.value("/v", 1)
        self.n, self.heard, self.failed = n, [], True

    def note(self, kind, a=None, b=None, c=None, d=None):
        self.heard.append((kind, a))

    def request(self, what, path, body=None, observe=False):
        '''Was it begun, and what came of it.'''
        m = build(self.client.aio._alive(), what, "coap://server" + path, body, {"observe": 0} if observe else {})
        handle, sim, note = self.client.aio._alive(), self.sim._sim, self.note
        self.heard.clear()
        if self.n:
            _testcapi.set_nomemory(self.n, self.n + 1)
        try:
            try:
                self.x = None
                self.x = _copal.request(handle, m, note)
                _copal.sim_run(sim, 60000)
            except (MemoryError, copal.Error):
                pass
        finally:
            if self.n:
                try:
                    for _ in range(MORE):
                        bytes(1000)
                except MemoryError:
                    self.failed = False
                _testcapi.remove_mem_hooks()
        self.sim.run(400)
        return self.x is not None, list(self.heard)


def check(outcome, *payloads):
    begun, heard = outcome
    ends = [a for kind, a in heard if kind == _copal.END]
    came = [a for kind, a in heard if kind == _copal.RESPONSE]
    if len(ends) > 1 or (begun and not ends):
        sys.exit(f"ended {len(ends)} times: {heard}")
    if ends and ends[0] is None and not came:
        sys.exit(f"it ended well, and there was no response: {heard}")
    for m in came:
        if m.code.cls == 2 and m.payload not in payloads:
            sys.exit(f"the wrong response: {m.code} {m.payload}")
        if m.code.cls == 4:
            sys.exit(f"its fault: {m.code}")


def getting(p):
    check(p.request(1, "/t"), b"21.5")


def putting(p):
    check(p.request(3, "/t", LONG), LONG)


def serving(p):
    check(p.request(1, "/b/x"), b'{"a":["b","x"]}')


def failing(p):
    check(p.request(1, "/bug"))


def junk(p):
    check(p.request(1, "/junk"))


def play(scenario, n):
    p = Play(n)
    scenario(p)
    p.sim.close()
    return p.failed


scenario = globals()[sys.argv[1]]
for _ in range(3):
    play(scenario, 0)
gc.collect()
before, blocks, n = _copal.live(), sys.getallocatedblocks(), 1
while play(scenario, n):
    n += 1
gc.collect()
if _copal.live() != before:
    sys.exit(f"left behind: {_copal.live()}, not {before}")
if sys.getallocatedblocks() > blocks + 1000:
    sys.exit(f"{sys.getallocatedblocks() - blocks} blocks are left")
print(n)
"""


@pytest.mark.parametrize("name", ["getting", "putting", "serving", "failing", "junk"])
def test_a_request_survives_any_failed_allocation(name):
    code, out, err = script(PLAY, name, timeout=170)
    assert code == 0, err[-3000:]
    assert int(out) > 3


AWAIT = r"""
import faulthandler, gc, sys, warnings
import _testcapi
import copal
from copal import _copal

LONG = b"0123456789" * 300
MORE = 100  # allocations, after those of a step
faulthandler.enable()
warnings.simplefilter("ignore")  # of a coroutine that there was no memory to await
sys.unraisablehook = lambda *args: None


class Starved:
    '''What make() gives, awaited; memory runs out at the n-th allocation of its
    step of that number. failed: it came so far.'''

    def __init__(self, make, step, n):
        self.make, self.step, self.n, self.failed = make, step, n, False

    def one(self, i, do):
        if i != self.step or not self.n:
            return do()
        self.failed = True
        _testcapi.set_nomemory(self.n, self.n + 1)
        try:
            return do()
        finally:
            try:
                for _ in range(MORE):
                    bytes(1000)
            except MemoryError:
                self.failed = False
            _testcapi.remove_mem_hooks()

    def __await__(self):
        i, steps, sent = 0, self.one(0, lambda: self.make().__await__()), None
        while True:
            try:
                wanted = self.one(i + 1, lambda: steps.send(sent))
            except StopIteration as end:
                return end.value
            i += 1
            sent = yield wanted


async def asking(c, starved):
    res = await starved(lambda: c.get("coap://server/t"))
    return res.payload == b"21.5"


async def putting(c, starved):
    res = await starved(lambda: c.put("coap://server/t", LONG))
    return res.payload == LONG


async def observing(c, starved):
    async with c.observe("coap://server/v") as notes:
        first = await starved(lambda: notes.next())
    return first.payload == b"1"


async def waited_for(c, starved):
    res = await starved(lambda: c.get("coap://server/late"))
    return res.payload == b"late"


def play(scenario, step, n):
    sim = copal.Sim(5, delay=0.01)
    sim._loop.set_exception_handler(lambda *args: None)
    server, client = sim.endpoint("server"), sim.endpoint("client")

    async def late(req):
        await server.aio.sleep(2)
        return "late"

    server.serve("/t", get=lambda req: "21.5", put=lambda req: req.payload)
    server.serve("/late", late)
    server.value("/v", 1)
    all = []

    def starved(make):
        all.append(Starved(make, step, n))
        return all[-1]

    async def main():
        try:
            if not await scenario(client.aio, starved):
                sys.exit("the wrong response")
        except (MemoryError, copal.Error):
            if not n:
                raise
        except SystemError as e:  # the interpreter's own, where it has no room for a frame
            if str(e) != "error return without exception set":
                raise

    sim.run(main())
    sim.run(400)
    if client.get("coap://server/t").payload != b"21.5":
        sys.exit("nothing can be asked any more")
    sim.close()
    return all[0].failed


scenario = globals()[sys.argv[1]]
for _ in range(3):
    play(scenario, 0, 0)
gc.collect()
before, blocks, told = _copal.live(), sys.getallocatedblocks(), []
for step in range(3):  # made, begun, resumed
    n = 1
    while play(scenario, step, n):
        n += 1
    told.append(n)
gc.collect()
if _copal.live() != before:
    sys.exit(f"left behind: {_copal.live()}, not {before}")
if sys.getallocatedblocks() > blocks + 1000:
    sys.exit(f"{sys.getallocatedblocks() - blocks} blocks are left")
print(sum(told))
"""


@pytest.mark.parametrize("name", ["asking", "putting", "observing", "waited_for"])
def test_what_is_awaited_survives_any_failed_allocation(name):
    code, out, err = script(AWAIT, name, timeout=170)
    assert code == 0, err[-3000:]
    assert int(out) > 6
