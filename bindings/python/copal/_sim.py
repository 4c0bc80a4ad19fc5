"""A network in a box: endpoints that talk through memory, in virtual time."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Awaitable
from typing import Any, TypeVar, overload

from . import _copal, _values
from ._blocking import BlockingEndpoint
from ._endpoint import Endpoint
from ._errors import failure

T = TypeVar("T")

_PATIENCE = 3_600_000  # virtual ms in which nothing happens, then nothing will


class _Selector(selectors.DefaultSelector):
    """Where a loop sleeps, the network moves on."""

    sim: _copal.Sim
    loop: asyncio.AbstractEventLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            if not _copal.sim_until(self.sim, _PATIENCE, self.loop):
                raise RuntimeError(
                    "nothing happens any more in the simulated network: the program waits for what cannot come"
                )
        else:
            ms = max(0, math.ceil(timeout * 1000 - 1e-6))
            _copal.sim_until(self.sim, ms, self.loop if ms else None)
        return []


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, sim: _copal.Sim) -> None:
        selector = _Selector()
        selector.sim, selector.loop = sim, self
        self._sim = sim
        super().__init__(selector)

    def time(self) -> float:
        return _copal.sim_now(self._sim) / 1000


class Sim:
    """A simulated network for tests of programs: same seed, same run; an hour
    passes in no time::

        sim = copal.Sim(seed=7, loss=20)
        server, client = sim.endpoint("server"), sim.endpoint("client")
        server.value("/temp", 21.5)
        assert client.get("coap://server/temp").text == "21.5"

    A blocking call moves the clock, and so does ``sim.run(60)``. It is an
    asyncio loop, too: ``sim.run(main())`` runs a coroutine in which
    ``client.aio`` is the Endpoint and asyncio.sleep() takes virtual time.

    delay, jitter: seconds one way; loss, duplication, reordering: percent.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        delay: float = 0,
        jitter: float = 0,
        loss: int = 0,
        duplication: int = 0,
        reordering: int = 0,
    ) -> None:
        self._sim = _copal.sim_new(seed)
        self._loop = _Loop(self._sim)
        self._endpoints: list[BlockingEndpoint] = []
        self.set_path(
            None, None, delay=delay, jitter=jitter, loss=loss, duplication=duplication, reordering=reordering
        )

    def endpoint(self, host: str, **parameters: float) -> BlockingEndpoint:
        """An endpoint at ``coap://<host>``; parameters as for Endpoint. Error
        EEXIST: that host is up. ``crash()`` takes it down."""
        aio = Endpoint._in_sim(_copal.sim_endpoint(self._sim, host), self._loop, parameters)
        endpoint = BlockingEndpoint._around(aio, self._loop)
        self._endpoints.append(endpoint)
        return endpoint

    def crash(self, endpoint: BlockingEndpoint) -> None:
        """The host goes down without a word; endpoint() is its reboot."""
        endpoint.aio._free()

    @overload
    def run(self, what: float) -> None: ...
    @overload
    def run(self, what: Awaitable[T]) -> T: ...
    def run(self, what: Any) -> Any:
        """Lets seconds pass, or runs until an awaitable is done and returns what
        it gives. RuntimeError: it waits for what cannot come."""
        if asyncio._get_running_loop() is not None:
            if asyncio.iscoroutine(what):
                what.close()
            raise failure("ESTATE", "the simulator runs already; await asyncio.sleep() instead")
        if isinstance(what, (int, float)):
            what = asyncio.sleep(_values.ms(what) / 1000)
        return self._loop.run_until_complete(what)

    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return _copal.sim_now(self._sim) / 1000

    def set_path(
        self,
        from_: str | None = None,
        to: str | None = None,
        *,
        delay: float = 0,
        jitter: float = 0,
        loss: int = 0,
        duplication: int = 0,
        reordering: int = 0,
    ) -> None:
        """How datagrams travel from now on, ``sim.set_path(loss=20)``; from_, to:
        those from one host to another, None: any. What is not given is 0.
        Invalid: over 100 percent."""
        _copal.sim_set_path(
            self._sim, from_, to, _values.ms(delay), _values.ms(jitter), loss, duplication, reordering
        )

    def lose(self, host: str, count: int = 1) -> None:
        """Loses the next datagrams that host sends."""
        _copal.sim_lose(self._sim, host, count)

    def move(self, host: str) -> None:
        """From now on host sends from a fresh address, as behind a NAT."""
        _copal.sim_move(self._sim, host)

    def refuse(self, host: str, refuses: bool = True) -> None:
        """While host is down, what comes to it is refused, as by a machine on
        which no program has the port; False: it vanishes."""
        _copal.sim_refuse(self._sim, host, refuses)

    def inject(self, from_: str, host: str, datagram: bytes) -> None:
        """Puts a datagram on the way to host as if from_ had sent it."""
        _copal.sim_inject(self._sim, from_, host, datagram)

    @property
    def transcript(self) -> str:
        """What crossed the network, a line a datagram: ``2000 client > server
        CON GET 0001 /temperature``."""
        return _copal.sim_transcript(self._sim) or ""

    def keep(self, size: int) -> None:
        """Keeps only the newest bytes of transcript, 1 MiB unless told."""
        _copal.sim_keep(self._sim, size)

    def close(self) -> None:
        """Frees its endpoints; what is pending ends with Closed."""
        if self._loop.is_closed():
            return
        for endpoint in self._endpoints:
            endpoint.aio._free()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()
        _copal.sim_free(self._sim)

    def __enter__(self) -> Sim:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        loop = getattr(self, "_loop", None)
        if loop is not None and not loop.is_closed() and not loop.is_running():
            loop.close()
