"""Asking: requests, observations, many at once. Everything here lives on one
event loop; C's callbacks come from inside Endpoint's pump."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Union, cast

from . import _copal
from ._errors import Error, failure
from ._message import Message
from ._stream import Source, write_piece
from ._values import Code

if TYPE_CHECKING:
    from ._endpoint import Endpoint

T = TypeVar("T")
_REQUEST_ENDED, _RESPONSE = _copal.END, _copal.RESPONSE


class Queue(Generic[T]):
    """Items in order for one who waits; closing ends the waiting."""

    __slots__ = ("items", "closed", "error", "_loop", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.items: deque[T] = deque()
        self.closed = False
        self.error: BaseException | None = None
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def push(self, item: T) -> None:
        if not self.closed:
            self.items.append(item)
            self._wake()

    def close(self, error: BaseException | None = None) -> None:
        if not self.closed:
            self.closed, self.error = True, error
            self._wake()

    async def pop(self) -> T:
        while not self.items:
            if self.closed:
                error, self.error = self.error, None
                raise error or StopAsyncIteration
            if self._waiter is None or self._waiter.done():
                self._waiter = self._loop.create_future()
            await asyncio.shield(self._waiter)
        return self.items.popleft()


class Request(_copal.Asked):
    """A request under way: await it for the response, or iterate over it with
    ``async for`` where several answer. It is an asyncio.Future, so gather(),
    wait_for(), as_completed() and TaskGroup take it. Cancelling it, or the task
    that awaits it, cancels on the wire. Who waits for a response goes on in the
    turn of the loop that brings it, without one more round.

    Raises what happened: Timeout, Refused, Closed, BadURI, another Error. With
    ``no_response=26`` no answer is wanted, and the result is None once the
    request is acknowledged, or with ``non=True`` has left.
    """

    __slots__ = ()  # what each has, and does as a future, is C's (python_future.h)

    # What few have, in a dict that only they have.
    _failure: BaseException | None = None
    _source: Source | None = None
    _progress: Callable[[int, int], object] | None = None
    _sink: Any = None

    @property
    def uri(self) -> str:
        """The URI as it was typed."""
        return self._uri

    @property
    def response(self) -> Message | None:
        """The first response, or None as long as there is none; of a body that
        comes piece by piece it is there before the first piece."""
        return self._response

    def _start(self, handle: _copal.Endpoint, m: Message) -> Request:
        is_plain = self._source is None and self._sink is None and self._progress is None
        _copal.ask(handle, m, self, is_plain)
        return self

    def _on_event(self, kind: int, a: Any = None, b: Any = None, c: Any = None, d: Any = None) -> None:
        """What C does not tell by itself, as it does a response and its end."""
        if kind == _RESPONSE:
            if self._response is None:
                self._response = a
            if self._queue is not None:
                self._queue.push(a)
        elif kind == _REQUEST_ENDED:
            self._end(self._failure or (failure(a, b) if a else None))
        elif kind == _copal.PROGRESS:
            self._tell_progress(a, b)
        elif kind == _copal.PULL:
            if self._source is not None:
                self._source.pull(self._coap, a, c, d, self._give_up)
        elif kind == _copal.CHUNK:
            try:
                write_piece(self._sink, a.payload)
            except Exception as e:
                self._give_up(e)

    def _tell_progress(self, done: int, total: int) -> None:
        if self._progress is None:
            return
        try:
            self._progress(done, total)
        except Exception as e:
            self._coap._report("progress", "exception in progress of a request", e)

    def _give_up(self, error: BaseException) -> None:
        """The user's file failed, so the transfer does."""
        self._failure = self._failure or error
        self._cancel_exchange()

    def _end(self, error: BaseException | None) -> None:
        self._let_go()
        if self._queue is not None:
            self._queue.close(error)
        if self.done():
            return
        if error is not None:
            self.set_exception(error)
            if self._coap.is_closed:
                self._log_traceback = False  # who closes need not wait for what was pending
        elif self._response is not None:
            self.set_result(self._response)
        else:  # it wanted none
            self.set_result(cast(Message, None))

    def _report_waiting(self, fn: object, e: BaseException) -> None:
        """Of one that C called, as the loop has it of those that it calls."""
        context = {"message": f"Exception in callback {fn!r}", "exception": e, "future": self}
        self.get_loop().call_exception_handler(context)

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Every response, for requests to a group; ends when the time for them
        is over."""
        if self._queue is None:
            self._queue = Queue(self.get_loop())
            if self._response is not None:
                self._queue.push(self._response)
            if self.done():
                self._queue.close(None if self.cancelled() else self.exception())
        try:
            while True:
                try:
                    yield await self._queue.pop()
                except StopAsyncIteration:
                    break
        finally:
            self.cancel()
        if self.done() and not self.cancelled():
            self.exception()  # it was seen

    def __repr__(self) -> str:
        if not self.done():
            state = "waiting"
        elif self.cancelled():
            state = "cancelled"
        else:
            e: BaseException | None = self._exception  # to look at it in a debugger is not dealing with it
            state = f"failed: {e}" if e is not None else str(self.result())
        return f"<copal.Request {Code(self._code)} {self._uri} ({state})>"


_copal.set_request(Request)


class Ping(asyncio.Future[bool]):
    """A ping under way; await it: True when the peer answered."""

    _x: _copal.Exchange | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop, handle: _copal.Endpoint, uri: str) -> None:
        super().__init__(loop=loop)
        self.uri = uri
        self._x = _copal.ping(handle, uri, self._on_event)

    def _on_event(self, kind: int, a: Any = None, b: Any = None, c: Any = None) -> None:
        if kind != _copal.END or self.done():
            return
        self._x = None
        if a:
            self.set_exception(failure(a, b))
        else:
            self.set_result(True)

    def cancel(self, msg: Any | None = None) -> bool:
        """Gives up. False: it was over already."""
        if not super().cancel(msg):
            return False
        if self._x is not None:
            try:
                _copal.cancel(self._x)
            except Error:
                pass
        return True

    def __repr__(self) -> str:
        return f"<copal.Ping {self.uri} ({'done' if self.done() else 'waiting'})>"


# ---- Observing ---------------------------------------------------------------


class Note:
    """What happened to a watch besides a value: ``event`` is ``silent``,
    ``resumed`` or ``ended``, ``reason`` a sentence or None, ``error`` the Error
    behind it or None."""

    __slots__ = ("event", "uri", "reason", "error")

    event: str
    uri: str
    reason: str | None
    error: Error | None

    def __init__(self, event: str, uri: str, reason: str | None = None, error: Error | None = None) -> None:
        self.event, self.uri, self.reason, self.error = event, uri, reason, error

    def __str__(self) -> str:
        return f"{self.event}: {self.reason}" if self.reason else self.event

    def __repr__(self) -> str:
        return f"<copal.Note {self.uri} {self}>"


Notification = Union[Message, Note]

_HELD = 64  # notifications not yet taken before the server is held back


class Feed:
    """What C's callbacks hold of an observation: not the observation itself, or
    it would never be collected and deregistered."""

    def __init__(self, loop: asyncio.AbstractEventLoop, handle: _copal.Endpoint, watch: bool) -> None:
        self.queue: Queue[Any] = Queue(loop)
        self.exchanges: list[_copal.Exchange] = []
        self.cancelled = False
        self._handle = handle
        self._watch = watch
        self._paused = False
        self._open = 0
        self._error: Error | None = None
        self._thread = threading.get_ident()

    def add(self, m: Message, uri: str) -> None:
        self.exchanges.append(_copal.request(self._handle, m, partial(self._on_event, uri)))
        self._open += 1

    def _on_event(self, uri: str, kind: int, a: Any = None, b: Any = None, c: Any = None) -> None:
        if kind == _copal.RESPONSE:
            self.queue.push(a)
            if len(self.queue.items) >= _HELD and not self._paused:
                self._paused = True
                self._each(_copal.pause)
        elif kind == _copal.END:
            self._over(uri, failure(a, b) if a else None, b)
        elif self._watch and kind == _copal.SILENT:
            self.queue.push(Note("silent", uri, b, failure(a, b) if a else None))
        elif self._watch and kind == _copal.RESUMED:
            self.queue.push(Note("resumed", uri))

    def _over(self, uri: str, error: Error | None, text: str | None) -> None:
        if self._watch and not self.cancelled:
            self.queue.push(Note("ended", uri, text, error))
        else:
            self._error = self._error or error
        self._open -= 1
        if self._open == 0:
            self.queue.close(self._error)

    def _each(self, do: Callable[[_copal.Exchange], object]) -> None:
        for x in self.exchanges:
            try:
                do(x)
            except Error:
                pass  # this one is over already

    async def pop(self) -> Any:
        item = await self.queue.pop()
        if self._paused and not self.queue.items:
            self._paused = False
            self._each(_copal.resume)
        return item

    def cancel(self) -> bool:
        if self.cancelled:
            return False
        self.cancelled = True
        self.queue.close()
        self._each(_copal.cancel)
        return True

    def abandon(self) -> None:
        """From a destructor, which may run on any thread."""
        if self.cancelled or self._open == 0:
            return
        if threading.get_ident() == self._thread:
            self.cancel()
        elif _copal.is_alive(self._handle):
            _copal.post(self._handle, lambda kind: self.cancel())


class _Lease:
    """Whoever may still take notifications holds it; the last one deregisters."""

    __slots__ = ("feed",)

    def __init__(self, feed: Feed) -> None:
        self.feed = feed

    def __del__(self) -> None:
        self.feed.abandon()


class Notes(AsyncIterator[Any]):
    """One loop over an observation: when it is left the observation ends."""

    def __init__(self, lease: _Lease) -> None:
        self._lease = lease
        self._feed = lease.feed

    def __aiter__(self) -> Notes:
        return self

    async def __anext__(self) -> Any:
        return await self._feed.pop()

    def __del__(self) -> None:
        self._feed.abandon()


class Observation:
    """``async for n in c.observe(uri)``: every notification, as a Message.
    Leaving the loop deregisters, as do ``cancel()``, ``async with`` and
    collection. ``await`` gives the next one.

    The loop raises the Error that ended the observation.
    """

    def __init__(self, feed: Feed, uris: Iterable[str], what: str) -> None:
        self._feed = feed
        self._lease = _Lease(feed)
        self.uris = tuple(uris)
        self._what = what

    def __aiter__(self) -> AsyncIterator[Any]:
        return Notes(self._lease)

    def __await__(self) -> Generator[Any, None, Any]:
        return self.next().__await__()

    async def next(self) -> Any:
        """The next notification. Closed: there is none any more."""
        try:
            return await self._feed.pop()
        except StopAsyncIteration:
            raise failure("ECLOSED", f"{', '.join(self.uris)}: the observation is over") from None

    def cancel(self) -> bool:
        """Deregisters. False: done already."""
        return self._feed.cancel()

    async def __aenter__(self) -> Observation:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.cancel()

    def __repr__(self) -> str:
        over = self._feed.queue.closed
        return f"<copal.Observation {self._what} {', '.join(self.uris)}{' (over)' if over else ''}>"


# ---- Many at once ------------------------------------------------------------


class _Gathering:
    """What the requests of a get_all() hold of it."""

    def __init__(self, coap: Endpoint, uris: Iterable[str], limit: int, options: dict[str, Any]) -> None:
        self.queue: Queue[tuple[str, Message | Error]] = Queue(coap._attached())
        self.pending: set[Request] = set()
        self.over = False
        self._coap = coap
        self._left = list(uris)[::-1]
        self._limit = max(1, limit)
        self._options = options
        self._thread = threading.get_ident()
        self._fill()

    def _fill(self) -> None:
        while self._left and len(self.pending) < self._limit and not self.over:
            request = self._coap.get(self._left.pop(), **self._options)
            self.pending.add(request)
            request.add_done_callback(self._done)
        if not self._left and not self.pending:
            self.queue.close()

    def _done(self, request: asyncio.Future[Message]) -> None:
        assert isinstance(request, Request)
        self.pending.discard(request)
        result: Message | Error
        if request.cancelled():
            result = failure("ECANCEL")
        else:
            e = request.exception()
            result = request.result() if e is None else e if isinstance(e, Error) else failure("EIO", str(e))
        self.queue.push((request.uri, result))
        if not self.over:
            self._fill()

    def cancel(self) -> None:
        self.over = True
        for request in list(self.pending):
            request.cancel()


class GetAll(AsyncIterator[tuple[str, Union[Message, Error]]]):
    """``async for uri, r in c.get_all(uris)``: as they finish; r is a response
    or the Error. Leaving the loop cancels the rest."""

    def __init__(self, coap: Endpoint, uris: Iterable[str], limit: int, options: dict[str, Any]) -> None:
        self._all = _Gathering(coap, uris, limit, options)

    def __aiter__(self) -> GetAll:
        return self

    async def __anext__(self) -> tuple[str, Message | Error]:
        return await self._all.queue.pop()

    def __del__(self) -> None:
        try:
            rest = self._all
        except AttributeError:
            return  # its making failed
        if rest.pending and not rest.over:
            loop = next(iter(rest.pending)).get_loop()
            if threading.get_ident() == rest._thread:
                rest.cancel()
            elif not loop.is_closed():
                loop.call_soon_threadsafe(rest.cancel)
