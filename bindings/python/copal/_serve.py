"""Serving: what a handler returns is the answer."""

from __future__ import annotations

import asyncio
import io
import sys
import typing
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from . import _copal
from ._ask import Queue
from ._errors import Error, failure
from ._message import Message, build, encode
from ._problem import Problem
from ._stream import Source, is_stream
from ._values import Code, CodeLike, FormatLike

if TYPE_CHECKING:
    from ._endpoint import Endpoint

Handler = Callable[[Message], Any]
"""Takes a request; returns, or awaits and returns, the answer."""

_CONTENT, _CHANGED, _DELETED, _FAILED, _UNAVAILABLE, _NOT_FOUND = 69, 68, 66, 160, 163, 132

FLAGS = {
    "observable": _copal.OBSERVABLE, "streamed": _copal.STREAMED,
    "unlisted": _copal.UNLISTED, "secure": _copal.SECURE,
    "group": _copal.GROUP, "per_peer": _copal.PER_PEER,
}  # fmt: skip

METHODS = {"any": 0, "get": 1, "post": 2, "put": 3, "delete": 4, "fetch": 5, "patch": 6, "ipatch": 7}


class Response:
    """An answer with options: ``Response(body, copal.CONTENT, max_age=5)``.

    payload: as a handler may return it, or a Problem; code: None is the method's usual one;
    options: as the keywords of ``Endpoint.get()``: etag, location_path, ...;
    problem: a Problem, a dict, or a title (RFC 9290) in place of a payload
    """

    __slots__ = ("payload", "code", "format", "options")

    def __init__(
        self,
        payload: Any = None,
        code: CodeLike | None = None,
        *,
        format: FormatLike | None = None,
        **options: Any,
    ) -> None:
        self.payload = payload
        if code is None and options.get("problem") is not None:
            raise TypeError("a problem needs a code: Response(code=copal.CONFLICT, problem=...)")
        self.code = None if code is None else Code(code)
        self.format = format
        self.options = options

    def __repr__(self) -> str:
        return f"<copal.Response {self.code or ''} {self.payload!r}>"


def method_of(method: CodeLike) -> int:
    """The number of a method: ``"PUT"``, ``"0.30"``, ``copal.PUT``, ``"any"``."""
    if isinstance(method, str) and method.lower() in METHODS:
        return METHODS[method.lower()]
    code = Code(method)
    if code.cls != 0:
        raise ValueError(f"not a method: {code}; methods are of class 0")
    return code.number


# ---- Running a handler in place ------------------------------------------------


class _Rest(Coroutine[Any, Any, Any]):
    """A coroutine that has already run up to its first wait, for a Task to go
    on with."""

    def __init__(self, here: _copal.InPlace) -> None:
        self._here = here
        self._coro = here._in_coro

    def send(self, value: Any) -> Any:
        if self._here._in_is_over:
            raise StopIteration
        first, self._here._in_first = self._here._in_first, None
        return self._coro.send(value) if first is None else first

    def throw(self, *args: Any) -> Any:
        self._here._in_first = None
        if self._here._in_is_over:
            raise args[1] if len(args) > 1 and args[1] is not None else args[0]
        return self._coro.throw(*args)

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise RuntimeError("only a task goes on with this")


def _task_of(here: _copal.InPlace) -> asyncio.Task[Any]:
    return asyncio.Task(_Rest(here), loop=here._in_loop, context=here._in_context)  # type: ignore[call-arg]


# asyncio's in C keeps the current tasks there before Python 3.14, and has none later: the
# one that asyncio.tasks still has is then looked at by nobody.
_current_tasks = getattr(sys.modules.get("_asyncio"), "_current_tasks", None)

_copal.set_tasks(
    _enter_task,
    _leave_task,
    asyncio.current_task,
    _current_tasks,
    asyncio._get_running_loop,
    _task_of,
)


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


# ---- Resources -----------------------------------------------------------------


class Chunks:
    """A request's body piece by piece; the peer is held back while nobody
    takes them. If it breaks off, who takes them is told by an Error."""

    _HELD = 16

    def __init__(self, loop: asyncio.AbstractEventLoop, x: _copal.Exchange) -> None:
        self._queue: Queue[bytes] = Queue(loop)
        self._x = x
        self._paused = False
        self._failure: Error | None = None
        self.is_taken = False  # by the handler, which then hears of the end here

    def _add(self, piece: bytes, last: bool) -> None:
        if piece or not last:
            self._queue.push(piece)
        if last:
            self._queue.close()
        elif len(self._queue.items) >= self._HELD and not self._paused:
            self._paused = True
            _copal.pause(self._x)

    def _break_off(self, error: Error) -> None:
        error._is_of_asker = True
        self._failure = error
        self._queue.close()

    def __aiter__(self) -> Chunks:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self._queue.pop()
        except StopAsyncIteration:
            if self._failure is None:
                raise
            raise self._failure from None
        if self._paused and not self._queue.items:
            self._paused = False
            try:
                _copal.resume(self._x)
            except Error:
                pass  # the peer has left
        return piece


class Resource:
    """The callback of one handler at one path, for all but the requests: those go
    from C to the handler, and its answers back, as long as they are short."""

    def __init__(self, coap: Endpoint, handler: Handler, path: str, streamed: bool) -> None:
        self._coap = coap
        self._handler = handler
        self._names = tuple(s[1:-1] for s in path.split("/") if s[:1] == "{" and s[-1:] == "}")
        self._streamed = streamed
        self.prepares = streamed or bool(self._names)
        self._tasks: dict[int, asyncio.Task[Any]] = {}
        self._sources: dict[int, Source] = {}
        self._chunks: dict[int, Chunks] = {}

    def __call__(self, kind: int, a: Any = None, b: Any = None, c: Any = None, d: Any = None) -> None:
        if kind == _copal.PULL:
            if (source := self._sources.get(b)) is not None:
                source.pull(self._coap, a, c, d, self._broken)
                if source.is_done:
                    del self._sources[b]
        elif kind == _copal.CHUNK:
            if (chunks := self._chunks.get(b)) is not None:
                chunks._add(a.payload, d)
                if d:
                    del self._chunks[b]
        elif kind == _copal.END:
            self._on_end(a, b, c)

    def _on_end(self, name: str | None, text: str | None, key: int) -> None:
        """The asker left, or a streamed answer is over."""
        self._sources.pop(key, None)
        if (chunks := self._chunks.pop(key, None)) is not None:
            chunks._break_off(failure(name or "ECLOSED", text))
        if (task := self._tasks.pop(key, None)) is None or name is None:
            return
        if chunks is None or not chunks.is_taken:
            task.cancel()

    def _loop(self) -> asyncio.AbstractEventLoop:
        return self._coap._attached()

    def _prepare(self, x: _copal.Exchange, key: int, default: int, req: Message) -> None:
        """Before the handler has it."""
        if self._names:
            req._exchange, req._names = x, self._names
        if self._streamed:
            req._chunks = self._chunks[key] = Chunks(self._coap._attached(), x)

    def _take(self, x: _copal.Exchange, key: int, default: int, result: Any) -> None:
        """A result that is no short answer."""
        if not hasattr(result, "__await__"):
            self._answer(x, key, default, result)
            return
        task, result = _copal.run_in_place(self._coap._attached(), _awaited(result))
        if task is None:
            self._answer(x, key, default, result)
        else:
            self._wait(x, key, default, task)

    def _wait(self, x: _copal.Exchange, key: int, default: int, task: asyncio.Task[Any]) -> None:
        """A handler goes on in a task."""
        self._tasks[key] = task
        self._coap._keep(task)
        task.add_done_callback(partial(self._finish, x, key, default))

    def _fail(self, x: _copal.Exchange, key: int, default: int, e: Exception) -> None:
        self._failed(x, e)

    def _finish(self, x: _copal.Exchange, key: int, default: int, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(key, None)
        try:
            if task.cancelled():
                self._reply(x, _UNAVAILABLE, -1, b"")
            else:
                self._answer(x, key, default, task.result())
        except Exception as e:
            self._failed(x, e)

    def _failed(self, x: _copal.Exchange, e: Exception) -> None:
        """Why is nobody's business but ours."""
        self._reply(x, _FAILED, -1, b"")
        if isinstance(e, Error) and e._is_of_asker:
            return  # that one left is no fault of a handler
        self._coap._report("handler", f"exception in copal handler {getattr(self._handler, '__qualname__', '')}", e)

    def _broken(self, e: BaseException) -> None:
        self._coap._report("body", "exception in the body of an answer", e)

    def _reply(self, x: _copal.Exchange, code: int, format: int, body: Any) -> None:
        try:
            _copal.reply(x, code, format, body)
        except Error as e:
            if e.name not in ("ESTATE", "ECLOSED"):  # else: the asker left
                raise

    def _answer(self, x: _copal.Exchange, key: int, code: int, r: Any) -> None:
        if type(r) is bytes:
            self._reply(x, code, 42 if r else -1, r)
        elif type(r) is str:
            self._reply(x, code, 0 if r else -1, r.encode())
        elif r is None:
            self._reply(x, code, -1, b"")
        elif isinstance(r, Code):
            self._reply(x, r, -1, b"")
        elif isinstance(r, Message):
            self._respond(x, r)
        elif isinstance(r, Response):
            self._build(x, key, code, r)
        elif isinstance(r, Problem):
            self._build(x, key, code, Response(r))
        elif type(r) is tuple:
            self._answer_tuple(x, key, code, r)
        elif is_stream(r):
            self._build(x, key, code, Response(r))
        else:
            data, number = encode(r, None)
            self._reply(x, code, 42 if number is None else number, data)

    def _answer_tuple(self, x: _copal.Exchange, key: int, code: int, r: tuple[Any, ...]) -> None:
        """(code, body), (code, body, format) or (body, format)"""
        if r and isinstance(r[0], Code):
            code, r = r[0].number, r[1:]
        if not 1 <= len(r) <= 2:
            raise TypeError("an answer is body, code, (code, body), (code, body, format) or (body, format)")
        if len(r) == 1:
            self._answer(x, key, code, r[0])
        else:
            self._build(x, key, code, Response(r[0], format=r[1]))

    def _build(self, x: _copal.Exchange, key: int, default: int, r: Response) -> None:
        body, flags, options = r.payload, 0, dict(r.options)
        if isinstance(body, Problem) and Code(default if r.code is None else r.code).is_successful:
            raise TypeError("a problem needs a code: return copal.BAD_REQUEST, copal.Problem(...)")
        if is_stream(body):
            if isinstance(body, io.TextIOBase):
                raise TypeError("a body is made of bytes; open the file in binary mode")
            self._sources[key] = Source(body)
            body, flags = None, _copal.STREAM_OUT
        if r.format is not None:
            options["format"] = r.format
        elif isinstance(body, (bytes, bytearray, memoryview)) and len(body) > 0:
            options["format"] = 42
        handle = self._coap._handle
        if handle is not None:
            self._respond(x, build(handle, default if r.code is None else r.code, None, body, options, flags))

    def _respond(self, x: _copal.Exchange, m: Message) -> None:
        try:
            _copal.respond(x, m)
        except Error as e:
            if e.name not in ("ESTATE", "ECLOSED"):
                raise


class Value:
    """A resource that is one value: assigning ``value`` tells every observer."""

    def __init__(self, coap: Endpoint, path: str, value: Any, format: FormatLike | None) -> None:
        self._coap, self._path, self._value, self._format = coap, path, value, format

    @property
    def value(self) -> Any:
        """What GET answers."""
        return self._value

    @value.setter
    def value(self, new: Any) -> None:
        self._value = new
        if self._coap._handle is not None:
            self._coap.notify(self._path)

    def _get(self, req: Message) -> Any:
        return self._value if self._format is None else (self._value, self._format)

    def __repr__(self) -> str:
        return f"<copal.Value {self._path} {self._value!r}>"


# ---- Keys on demand --------------------------------------------------------------


def look_up(coap: Endpoint, fns: dict[str, Callable[[str], Any]]) -> tuple[Resource, Handler]:
    """What asks fns, by "psk" and "rpk", for the key of an identity, or whether
    a public key of that name is to be trusted. Their results may be awaitable."""

    def answer(found: Any) -> Any:
        if found is None or found is False:
            return Code(_NOT_FOUND)
        return Code(_CONTENT), (found if isinstance(found, (bytes, str)) else b"")

    async def later(found: Awaitable[Any]) -> Any:
        return answer(await found)

    def handler(req: Message) -> Any:
        fn = fns.get(req.path[0])
        if fn is None:
            return Code(_NOT_FOUND)
        found = fn(req.payload.decode("utf-8", "surrogateescape"))
        return later(found) if hasattr(found, "__await__") else answer(found)

    return Resource(coap, handler, "", False), handler


# ---- State -----------------------------------------------------------------------


class Keeper(typing.Protocol):
    """Keeps security state for an endpoint. Paths are like ``dtls/0a1b``. Each
    method may be async; put and delete return once that is durable, and raise
    if they fail."""

    def get(self, path: str) -> Any:
        """What was put there; None: nothing."""

    def put(self, path: str, value: bytes) -> Any:
        """In place of what was there."""

    def delete(self, path: str) -> Any:
        """Nothing is there any more, as before if nothing was."""


def store_by(coap: Endpoint, keeper: Keeper) -> tuple[Resource, Handler]:
    """What hands state to keeper, and asks it."""

    def answer(code: int, result: Any) -> Any:
        if code != 1:
            return Code(_CHANGED if code == 3 else _DELETED)
        return Code(_NOT_FOUND) if result is None else (Code(_CONTENT), bytes(result))

    async def later(code: int, result: Awaitable[Any]) -> Any:
        return answer(code, await result)

    def handler(req: Message) -> Any:
        code, path = req.code.number, "/".join(req.path)
        if code == 3:
            result = keeper.put(path, req.payload)
        else:
            result = keeper.get(path) if code == 1 else keeper.delete(path)
        return later(code, result) if hasattr(result, "__await__") else answer(code, result)

    return Resource(coap, handler, "", False), handler
