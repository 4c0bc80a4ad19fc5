"""The same endpoint for scripts without asyncio: it has a loop of its own and
runs it while you wait."""

from __future__ import annotations

import asyncio
import os
import socket
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, NoReturn, TypeVar, overload

from ._ask import GetAll, Observation
from ._endpoint import Endpoint, H, Stats
from ._passenger import Timer
from ._find import Device
from ._errors import Error, failure
from ._links import Links, Wanted
from ._message import Message
from ._serve import Keeper, Value
from ._values import CodeLike, FormatLike

T = TypeVar("T")


class Blocking(Iterator[T], Generic[T]):
    """What async iteration gives, one by one; the loop runs in between. It goes
    when the loop over it is left."""

    def __init__(self, coap: BlockingEndpoint, items: AsyncIterator[T]) -> None:
        self._coap, self._items = coap, items

    def __iter__(self) -> Blocking[T]:
        return self

    def __next__(self) -> T:
        async def one() -> T:
            return await anext(self._items)

        try:
            return self._coap.run(one())
        except StopAsyncIteration:
            raise StopIteration from None


class BlockingObservation(Iterable[Any]):
    """``for n in c.observe(uri)``: every notification; leaving the loop
    deregisters, as do ``cancel()`` and ``with``."""

    def __init__(self, coap: BlockingEndpoint, observation: Observation) -> None:
        self._coap, self._observation = coap, observation
        self.uris = observation.uris

    def __iter__(self) -> Blocking[Any]:
        return Blocking(self._coap, aiter(self._observation))

    def next(self) -> Any:
        """Waits for the next notification. Closed: there is none any more."""
        return self._coap.run(self._observation.next())

    def cancel(self) -> bool:
        """Deregisters. False: done already."""
        return self._observation.cancel()

    def __enter__(self) -> BlockingObservation:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cancel()

    def __repr__(self) -> str:
        return repr(self._observation)


class BlockingEndpoint:
    """Client and server in one, for programs without asyncio::

        with copal.BlockingEndpoint() as coap:
            print(coap.get("coap://localhost/time").text)

    The methods are those of Endpoint, but they wait. Handlers may be async all
    the same; a server serves while something waits, so end with ``forever()``.
    ``aio`` is the Endpoint inside: its requests do not wait, ``run()`` does.
    Parameters as for Endpoint.

    Error ESTATE: called inside a running asyncio loop, where copal.Endpoint is
    the one to use, or in a handler, which may await instead.
    """

    aio: Endpoint
    """The Endpoint behind it, for what handlers await."""

    def __init__(self, **parameters: Any) -> None:
        self._own_loop = True
        self._loop = asyncio.new_event_loop()
        listen = parameters.pop("listen", ())
        try:
            if not _is_outside():
                _refuse()
            self.aio = Endpoint(**parameters)
            self.aio._loop = self._loop
            self.aio._embed()
            for uri in [listen] if isinstance(listen, str) else listen:
                self.aio.listen(uri)
        except BaseException:
            if hasattr(self, "aio"):
                self.aio._free()
            self._loop.close()
            raise

    @classmethod
    def _around(cls, aio: Endpoint, loop: asyncio.AbstractEventLoop) -> BlockingEndpoint:
        self = cls.__new__(cls)
        self._own_loop, self._loop, self.aio = False, loop, aio
        return self

    def _ready(self) -> Endpoint:
        if not _is_outside() or self._loop.is_running():
            self._refuse()
        self.aio._alive()
        return self.aio

    def _refuse(self) -> NoReturn:
        if _is_outside():
            raise failure("ESTATE", "this endpoint is being used by another thread; make one for each")
        _refuse()

    def run(self, awaitable: Awaitable[T]) -> T:
        """Runs the loop until awaitable is done and returns what it gives:
        ``c.run(asyncio.gather(c.aio.get(a), c.aio.get(b)))``. Ctrl-C cancels
        it."""
        if not _is_outside() or self._loop.is_running():
            if asyncio.iscoroutine(awaitable):
                awaitable.close()
            self._refuse()
        future = asyncio.ensure_future(awaitable, loop=self._loop)
        try:
            return self._loop.run_until_complete(future)
        except BaseException:
            if not future.done() and not self._loop.is_closed():
                future.cancel()
                settled = asyncio.wait([future], timeout=0.1)
                self._loop.run_until_complete(settled)
            raise

    # ---- Birth and end

    def __enter__(self) -> BlockingEndpoint:
        self._ready()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self, seconds: float = 1.0) -> None:
        """An orderly end, within seconds. Again: nothing."""
        if self._loop.is_closed():
            return
        if not _is_outside():
            _refuse()
        try:
            self.run(self.aio.close(seconds))
        finally:
            self.aio._free()
            if self._own_loop:
                self.run(self._loop.shutdown_asyncgens())
                self._loop.close()

    @property
    def is_closed(self) -> bool:
        """Whether close() was called."""
        return self.aio.is_closed

    def __del__(self) -> None:
        loop = getattr(self, "_loop", None)
        if loop is None or not self._own_loop or loop.is_closed():
            return
        if not hasattr(self, "aio") or not self.aio._is_ours():
            _inherited.append(loop)
            return
        warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)
        if not loop.is_running():
            self.aio._free()
            loop.close()

    def __repr__(self) -> str:
        return repr(self.aio).replace("copal.", "copal.Blocking", 1)

    def forever(self) -> None:
        """Serves until stop(), close() or Ctrl-C (KeyboardInterrupt)."""
        self.run(self._ready().forever())

    def stop(self) -> None:
        """forever() returns; for handlers and timers."""
        self.aio.stop()

    def sleep(self, seconds: float) -> None:
        """Waits, and serves meanwhile."""
        self.run(self._ready().sleep(seconds))

    def after(self, seconds: float, fn: Callable[[], Any]) -> Timer:
        """Calls fn, which may be async, once after seconds, while something
        waits."""
        return self.aio.after(seconds, fn)

    def every(self, seconds: float, fn: Callable[[], Any]) -> Timer:
        """Calls fn, which may be async, each so many seconds, while something
        waits."""
        return self.aio.every(seconds, fn)

    def now(self) -> float:
        """Seconds of a clock that never goes back."""
        return self.aio.now()

    # ---- Asking

    def get(self, uri: str, **options: Any) -> Message:
        """Asks for a representation and waits for the response. options and
        errors as for Endpoint.get()."""
        return self.run(self._ready().get(uri, **options))

    def delete(self, uri: str, **options: Any) -> Message:
        """Deletes what is there. options as for get()."""
        return self.run(self._ready().delete(uri, **options))

    def put(self, uri: str, body: Any = None, **options: Any) -> Message:
        """Replaces what is there by body, as for Endpoint.put()."""
        return self.run(self._ready().put(uri, body, **options))

    def post(self, uri: str, body: Any = None, **options: Any) -> Message:
        """Hands body over to be processed."""
        return self.run(self._ready().post(uri, body, **options))

    def fetch(self, uri: str, body: Any = None, **options: Any) -> Message:
        """Asks with a body that says for what (RFC 8132)."""
        return self.run(self._ready().fetch(uri, body, **options))

    def patch(self, uri: str, body: Any = None, **options: Any) -> Message:
        """Changes a part (RFC 8132)."""
        return self.run(self._ready().patch(uri, body, **options))

    def ipatch(self, uri: str, body: Any = None, **options: Any) -> Message:
        """Changes a part, idempotent (RFC 8132)."""
        return self.run(self._ready().ipatch(uri, body, **options))

    def request(self, message: Message) -> Message:
        """Sends a message and waits for the response."""
        return self.run(self._ready().request(message))

    def message(self, code: CodeLike, uri: str | None = None, payload: Any = None, **options: Any) -> Message:
        """A message of this endpoint, to look at, change and request()."""
        return self.aio.message(code, uri, payload, **options)

    def ping(self, uri: str) -> bool:
        """Is anybody there: True when the peer answered. Timeout, Refused."""
        return self.run(self._ready().ping(uri))

    def send(self, message: Message, to: str) -> None:
        """Raw use: one message of any code to a base URI, no answer expected."""
        self._ready().send(message, to)
        self.run(asyncio.sleep(0))

    def get_all(
        self, uris: Iterable[str], *, limit: int = 8, **options: Any
    ) -> Blocking[tuple[str, Message | Error]]:
        """``for uri, r in c.get_all(uris, limit=8, timeout=5)``: as they finish;
        r is a response or the Error."""
        return Blocking(self, GetAll(self._ready(), uris, limit, options))

    def observe(self, uri: str | Iterable[str], **options: Any) -> BlockingObservation:
        """``for n in c.observe(uri)``: every notification (RFC 7641); leaving
        the loop deregisters."""
        return BlockingObservation(self, self._ready().observe(uri, **options))

    def watch(self, uri: str | Iterable[str], **options: Any) -> BlockingObservation:
        """``for n in c.watch(uri, silence=90)``: never quiet without telling, as
        Endpoint.watch()."""
        return BlockingObservation(self, self._ready().watch(uri, **options))

    def answers(self, uri: str, *, interface: str | int | None = None, **options: Any) -> Blocking[Message]:
        """``for res in c.answers("coap://224.0.1.187/t")``: each answer to a
        request to a group, as Endpoint.answers()."""
        return Blocking(self, self._ready().answers(uri, interface=interface, **options))

    def find(
        self,
        *,
        rt: str | None = None,
        group: str | Iterable[str] | None = None,
        interface: str | int | Iterable[str | int] | None = None,
        hops: int | None = None,
        wait: float | None = None,
        query: Mapping[str, Any] | Iterable[str] | None = None,
    ) -> Blocking[Device]:
        """``for dev in c.find(wait=3)``: who is out there, as Endpoint.find()."""
        aio = self._ready()
        return Blocking(
            self,
            aio.find(rt=rt, group=group, interface=interface, hops=hops, wait=wait, query=query),
        )

    @property
    def interfaces(self) -> list[tuple[str, int]]:
        """Name and index of those that reach groups; loopback is the last."""
        return self.aio.interfaces

    def strays(self) -> Blocking[Message]:
        """``for m in c.strays()``: messages that nobody asked for."""
        return Blocking(self, self._ready().strays())

    def understand(self, option: int | str) -> None:
        """Accepts a critical option that copal does not know."""
        self.aio.understand(option)

    # ---- Serving

    @overload
    def serve(
        self, path: str, fn: None = None, *, method: CodeLike | None = None, **spec: Any
    ) -> Callable[[H], H]: ...
    @overload
    def serve(self, path: str, fn: H, *, method: CodeLike | None = None, **spec: Any) -> H: ...
    def serve(self, path: str, fn: Any = None, *, method: CodeLike | None = None, **spec: Any) -> Any:
        """Answers at path, as Endpoint.serve() says."""
        return self.aio.serve(path, fn, method=method, **spec)

    def value(self, path: str, initial: Any = None, *, format: FormatLike | None = None, **spec: Any) -> Value:
        """An observable resource that is one value."""
        return self.aio.value(path, initial, format=format, **spec)

    def unserve(self, path: str) -> None:
        """Takes a path away; its observers get 4.04."""
        self.aio.unserve(path)

    def describe(self, path: str, name: str, value: str | None = None) -> None:
        """Adds a link attribute to a path."""
        self.aio.describe(path, name, value)

    def notify(self, path: str) -> int:
        """The representation at path changed. Returns how many observers will
        be told."""
        return self.aio.notify(path)

    def links(self, **wanted: Wanted) -> Links:
        """What is listed in /.well-known/core, filtered:
        ``links(rt="temperature")``."""
        return self.aio.links(**wanted)

    def listen(self, uri: str, *, reuse_address: bool = False, reuse_port: bool = False) -> None:
        """Accepts at a URI without path, as Endpoint.listen()."""
        self.aio.listen(uri, reuse_address=reuse_address, reuse_port=reuse_port)

    def take_over(self, sock: int | socket.socket) -> None:
        """Accepts at a socket that is bound already, as Endpoint.take_over()."""
        self.aio.take_over(sock)

    def hand_over(self, i: int) -> int:
        """Reads no more at addresses[i], as Endpoint.hand_over()."""
        return self.aio.hand_over(i)

    @property
    def addresses(self) -> list[str]:
        """The URIs bound by listen(), with their real ports."""
        return self.aio.addresses

    def allow_origin(self, origin: str) -> None:
        """As Endpoint.allow_origin()."""
        self.aio.allow_origin(origin)

    def allow_host(self, name: str) -> None:
        """As Endpoint.allow_host()."""
        self.aio.allow_host(name)

    def join(self, group: str, interface: str | None = None) -> None:
        """Hears a group's address, on one interface or on all."""
        self.aio.join(group, interface)

    def leave(self, group: str, interface: str | None = None) -> None:
        """Hears it no more."""
        self.aio.leave(group, interface)

    # ---- Tuning and looking inside

    def tune(self, scope: str | None = None, **parameters: float) -> None:
        """Parameters for the peers under a URI prefix, times in seconds."""
        self.aio.tune(scope, **parameters)

    def profile(self, scope: str | None, name: str | None) -> None:
        """As Endpoint.profile()."""
        self.aio.profile(scope, name)

    def disconnect(self, scope: str | None = None) -> None:
        """Closes connections and associations under a URI prefix."""
        self.aio.disconnect(scope)

    @property
    def stats(self) -> Stats:
        """Counters, now."""
        return self.aio.stats

    def metrics_text(self) -> str:
        """Counters as text that Prometheus reads."""
        return self.aio.metrics_text()

    def metrics(self, where: str | int | None) -> int:
        """Gives it by HTTP, as Endpoint.metrics(), while something waits."""
        return self.aio.metrics(where)

    def use_oscore(
        self,
        scope: str,
        *,
        secret: str | bytes,
        salt: str | bytes = b"",
        sender_id: str | bytes = b"",
        recipient_id: str | bytes = b"",
        id_context: str | bytes | None = None,
        aead: int = 0,
        hkdf: int = 0,
        replay_window: int = 0,
        rederives: bool = False,
    ) -> None:
        """As Endpoint.use_oscore()."""
        self.aio.use_oscore(
            scope,
            secret=secret,
            salt=salt,
            sender_id=sender_id,
            recipient_id=recipient_id,
            id_context=id_context,
            aead=aead,
            hkdf=hkdf,
            replay_window=replay_window,
            rederives=rederives,
        )

    def use_edhoc(
        self,
        scope: str,
        *,
        method: int = 0,
        suite: int = 0,
        private_key: str | bytes = b"",
        credential: str | bytes = b"",
        peer_credential: str | bytes = b"",
        identifier: str | bytes = b"",
        combined: bool = False,
    ) -> None:
        """As Endpoint.use_edhoc()."""
        self.aio.use_edhoc(
            scope,
            method=method,
            suite=suite,
            private_key=private_key,
            credential=credential,
            peer_credential=peer_credential,
            identifier=identifier,
            combined=combined,
        )

    def use_psk(self, scope: str, identity: str | bytes, key: str | bytes) -> None:
        """As Endpoint.use_psk()."""
        self.aio.use_psk(scope, identity, key)

    def use_cert(
        self, scope: str, *, cert: str | None = None, key: str | None = None, trusted: str | None = None
    ) -> None:
        """As Endpoint.use_cert()."""
        self.aio.use_cert(scope, cert=cert, key=key, trusted=trusted)

    def use_file(self, path: str | os.PathLike[str]) -> None:
        """As Endpoint.use_file()."""
        self.aio.use_file(path)

    def use_lookup(self, kind: str, fn: Callable[[str], Any]) -> None:
        """As Endpoint.use_lookup()."""
        self.aio.use_lookup(kind, fn)

    def store(self, where: str | os.PathLike[str] | Keeper) -> None:
        """As Endpoint.store()."""
        self.aio.store(where)

    def forget(self, scope: str) -> None:
        """As Endpoint.forget()."""
        self.aio.forget(scope)

    def log_to(self, what: str, path: str | os.PathLike[str] | None) -> None:
        """As Endpoint.log_to()."""
        self.aio.log_to(what, path)

    def trace(self, what: str, fn: Callable[[dict[str, Any]], object] | None) -> None:
        """Calls fn with each event of the groups in what."""
        self.aio.trace(what, fn)


# Loops of a parent before fork(): closing one would take the sockets out of the
# selector, which is the parent's as well.
_inherited: list[asyncio.AbstractEventLoop] = []


def _is_outside() -> bool:
    return asyncio._get_running_loop() is None


def _refuse() -> NoReturn:
    raise failure(
        "ESTATE",
        "a blocking call inside a running asyncio loop; use copal.Endpoint there and await its methods",
    )
