"""How an endpoint lives on an asyncio loop: a passenger, without threads."""

from __future__ import annotations

import asyncio
import inspect
import selectors
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, Self

from . import _copal, _values
from ._ask import Request
from ._errors import Error, failure


class Timer:
    """What after() and every() give: ``cancel()`` stops it."""

    __slots__ = ("_handle", "_seconds", "_fn", "_coap")

    def __init__(self, coap: Passenger, seconds: float, fn: Callable[[], Any], repeat: bool) -> None:
        _values.ms(seconds)
        if not callable(fn):
            raise TypeError(f"a timer calls a function, got {type(fn).__name__}")
        self._coap, self._fn = coap, fn
        self._seconds = seconds if repeat else None
        loop = coap._attached()
        self._handle: asyncio.TimerHandle | None = loop.call_later(seconds, self._due)

    def _due(self) -> None:
        self._handle = None
        if self._coap._handle is None:
            return
        if self._seconds is not None:
            self._handle = self._coap._attached().call_later(self._seconds, self._due)
        try:
            result = self._fn()
            if inspect.isawaitable(result):
                self._coap._spawn(result)
        except Exception as e:
            self._coap._report("timer", "exception in copal timer", e)

    def cancel(self) -> bool:
        """No more of it. False: it was over already."""
        handle, self._handle, self._seconds = self._handle, None, None
        if handle is None:
            return False
        handle.cancel()
        return True


def _epoll_of(loop: asyncio.AbstractEventLoop) -> int:
    """Where that loop waits, if it is exactly asyncio's own; else -1."""
    selector: Any = getattr(loop, "_selector", None)
    if type(loop) is not asyncio.SelectorEventLoop or type(selector) is not getattr(selectors, "EpollSelector", None):
        return -1
    return int(selector.fileno())


class Passenger(_copal.Rider):
    """The part of Endpoint that has to do with the loop: attaching to it, turns,
    timers, the end."""

    def _set_up(self, handle: _copal.Endpoint, loop: asyncio.AbstractEventLoop | None) -> None:
        self._handle = handle
        self._loop = loop
        self._fd = self._epoll = -1
        self._timer = None
        self._closing = False
        self._simulated = False
        self._lookups: dict[str, Callable[[str], Any]] = {}
        self._tasks: set[asyncio.Future[Any]] = set()
        self._resting: set[asyncio.Future[None]] = set()

    @property
    def _open(self) -> list[Request]:
        """The requests that are not over."""
        return [] if self._handle is None else _copal.asked(self._handle)

    # ---- On the loop

    def _alive(self) -> _copal.Endpoint:
        if self._handle is None:
            raise failure("ECLOSED", "the endpoint is closed")
        return self._handle

    def _is_ours(self) -> bool:
        """Whether this process made it, and not its parent before fork()."""
        return self._handle is None or _copal.is_alive(self._handle)

    def _attached(self) -> asyncio.AbstractEventLoop:
        """The loop we are on; that of the caller, if ours is none or closed."""
        running = asyncio._get_running_loop()
        loop = self._loop
        if loop is not None and (running is loop or running is None) and not loop.is_closed():
            return loop
        if loop is not None and not loop.is_closed():
            raise failure("ESTATE", "this endpoint belongs to another event loop; make one there")
        if running is None:
            raise failure(
                "ESTATE",
                "copal.Endpoint needs a running asyncio loop; use it in one, or use copal.BlockingEndpoint",
            )
        self._loop, self._fd, self._timer = running, -1, None
        self._embed()
        return running

    def _embed(self) -> None:
        if self._simulated or self._handle is None or self._loop is None:
            return
        self._fd, self._epoll = _copal.fd(self._handle), _epoll_of(self._loop)
        self._loop.add_reader(self._fd, self._pump)
        self._loop.call_soon(self._pump)

    # _pump(), a turn, is C's (python_ride.h).

    def _wake(self, wait: int) -> None:
        """In so many milliseconds, 0: in the next round of the loop, -1: not."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._loop is not None and wait >= 0:
            if wait == 0:
                self._loop.call_soon(self._pump)
            else:
                self._timer = self._loop.call_later(wait / 1000, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._pump()

    def _report_turn(self, e: Exception) -> None:
        if self._handle is not None:
            self._report("turn", "copal cannot go on", e)

    def _report(self, kind: str, message: str, e: BaseException) -> None:
        """Tells the loop's exception handler what nobody waits for. Strangers
        make handlers raise as often as they like: of each kind not more than
        log_burst and log_rate allow."""
        left_out = 0 if self._handle is None else _copal.log_due(self._handle, kind)
        if left_out < 0:
            return
        if left_out > 0:
            message += f" ({left_out} more like it were left out)"
        context = {"message": message, "exception": e, "endpoint": self, "left_out": left_out}
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_exception_handler(context)

    def _keep(self, task: asyncio.Future[Any]) -> None:
        """Tasks are held by who made them, or they may be collected."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _spawn(self, work: Awaitable[Any]) -> None:
        """Runs work at once up to where it waits, and on its own from there."""

        async def reported() -> None:
            try:
                await work
            except Exception as e:
                self._report("task", "exception in copal task", e)

        task, _ = _copal.run_in_place(self._attached(), reported())
        if task is not None:
            self._keep(task)

    # ---- Birth and end

    async def __aenter__(self) -> Self:
        self._alive()
        self._attached()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self, seconds: float = 1.0) -> None:
        """An orderly end, within seconds: pending requests fail with Closed,
        observations are deregistered, answers owed are sent. Again: nothing."""
        if self._handle is None or self._closing:
            return
        loop = self._attached()
        self._closing = True
        for request in self._open:
            request._cancel_exchange()
            request._end(failure("ECLOSED", f"{request.uri}: the endpoint was closed before the answer came"))
        end = loop.time() + seconds
        _copal.close(self._handle, _values.ms(seconds))
        while self._handle is not None and loop.time() < end:
            if _copal.stats(self._handle)["exchanges_open"] == 0:
                break
            await asyncio.sleep(0.005)
        me = asyncio.current_task()
        tasks = [t for t in self._tasks if t is not me]
        for task in tasks:
            task.cancel()
        self._free()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)

    def _free(self) -> None:
        """At once: what is pending ends with Closed."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        if not _copal.is_alive(handle):
            return  # a child of fork(): the selector is its parent's, too
        if self._loop is not None and not self._loop.is_closed():
            if self._fd >= 0:
                self._loop.remove_reader(self._fd)
            if self._timer is not None:
                self._timer.cancel()
        self._fd, self._timer = -1, None
        _copal.free(handle)
        self.stop()

    @property
    def is_closed(self) -> bool:
        """Whether close() was called."""
        return self._handle is None or self._closing

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None and not self._simulated and _copal.is_alive(handle):
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)

    async def forever(self) -> None:
        """Waits until stop() or close()."""
        self._alive()
        waiter = self._attached().create_future()
        self._resting.add(waiter)
        try:
            await waiter
        finally:
            self._resting.discard(waiter)

    def stop(self) -> None:
        """forever() returns."""
        for waiter in self._resting:
            if not waiter.done() and not waiter.get_loop().is_closed():
                waiter.set_result(None)

    async def sleep(self, seconds: float) -> None:
        """asyncio.sleep()."""
        await asyncio.sleep(_values.ms(seconds) / 1000)

    def after(self, seconds: float, fn: Callable[[], Any]) -> Timer:
        """Calls fn, which may be async, once after seconds."""
        return Timer(self, seconds, fn, False)

    def every(self, seconds: float, fn: Callable[[], Any]) -> Timer:
        """Calls fn, which may be async, each so many seconds."""
        return Timer(self, seconds, fn, True)

    def now(self) -> float:
        """Seconds of a clock that never goes back."""
        return _copal.now(self._alive()) / 1000
