"""The endpoint for asyncio: what it asks and what it serves."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar, overload

from . import _copal, _values
from ._ask import Feed, GetAll, Observation, Ping, Queue, Request
from ._find import Device, find
from ._links import Links, Wanted, parse_links
from ._message import Message, build, param
from ._passenger import Passenger, Timer
from ._serve import FLAGS, METHODS, Handler, Keeper, Resource, Value, look_up, method_of, store_by
from ._stream import Source, is_stream
from ._values import Code, CodeLike, FormatLike

H = TypeVar("H", bound=Handler)
F = TypeVar("F", bound=Callable[..., Request])


_GET, _POST, _PUT, _DELETE = 1, 2, 3, 4
_FETCH, _PATCH, _IPATCH = 5, 6, 7


def _asks(code: int) -> Callable[[F], F]:
    """What is asked without options is sent by C alone."""
    return lambda fn: _copal.asking(code, fn)


class Stats(NamedTuple):
    """Counters of an endpoint since its birth; the last four are what is now.
    bytes_in, bytes_out and memory are bytes."""

    datagrams_in: int
    datagrams_out: int
    bytes_in: int
    bytes_out: int
    retransmissions: int
    duplicates: int
    malformed: int
    rejected: int
    limited: int
    exchanges: int
    exchanges_open: int
    peers: int
    observers: int
    memory: int


class Endpoint(Passenger):
    """Client and server in one, on the running asyncio loop::

        async with copal.Endpoint() as coap:
            res = await coap.get("coap://localhost/time")

    listen: a URI to accept at, or a list: ``"coap://*"``.
    parameters: rows of COPAL_PARAMS in lower case, times in seconds:
    ``ack_timeout=2``, ``max_retransmit=4``, ``timeout=60``, ``interface="eth0"``.
    psk: a dict of (identity, key) by scope, of "*" also a dict of keys by
    identity, or a function, see use_lookup(); rpk: such a function; cert, via:
    dicts by scope; oscore, edhoc: the same of fields of use_oscore() and
    use_edhoc(), of "*" also lists; store: see store(); credentials: a file.

    An endpoint belongs to one loop and its thread; nothing here may be called
    from another. TypeError: no such parameter. Invalid: a value out of range.
    NotSupported: not built in.
    """

    def __init__(
        self,
        *,
        listen: str | Iterable[str] | None = None,
        psk: Any = None,
        rpk: Callable[[str], Any] | None = None,
        cert: Mapping[str, Mapping[str, str]] | None = None,
        oscore: Mapping[str, Any] | None = None,
        edhoc: Mapping[str, Any] | None = None,
        via: Mapping[str, str] | None = None,
        store: str | os.PathLike[str] | Keeper | None = None,
        credentials: str | None = None,
        **parameters: float | str,
    ) -> None:
        self._set_up(_copal.endpoint(), None)
        if asyncio._get_running_loop() is not None:
            self._attached()  # else: at first use
        try:
            self._configure(psk, rpk, cert, oscore, edhoc, via, store, credentials, parameters)
            for uri in [listen] if isinstance(listen, str) else listen or ():
                self.listen(uri)
        except BaseException:
            self._free()
            raise

    @classmethod
    def _in_sim(
        cls, handle: _copal.Endpoint, loop: asyncio.AbstractEventLoop, parameters: Mapping[str, float | str]
    ) -> Endpoint:
        self = cls.__new__(cls)
        self._set_up(handle, loop)
        self._simulated = True
        self._configure(None, None, None, None, None, None, None, None, parameters)
        return self

    def _configure(
        self,
        psk: Any,
        rpk: Callable[[str], Any] | None,
        cert: Mapping[str, Mapping[str, str]] | None,
        oscore: Mapping[str, Any] | None,
        edhoc: Mapping[str, Any] | None,
        via: Mapping[str, str] | None,
        store: str | os.PathLike[str] | Keeper | None,
        credentials: str | None,
        parameters: Mapping[str, float | str],
    ) -> None:
        h = self._alive()
        if callable(psk):
            self.use_lookup("psk", psk)
        else:
            for scope, keys in (psk or {}).items():
                for identity, key in keys.items() if isinstance(keys, Mapping) else [keys]:
                    self.use_psk(scope, identity, key)
        if rpk is not None:
            self.use_lookup("rpk", rpk)
        for scope, pem in (cert or {}).items():
            self.use_cert(scope, **pem)
        for scope, proxy in (via or {}).items():
            _copal.via(h, scope, proxy)
        if store is not None:  # before what is kept there
            self.store(store)
        for scope, contexts in (oscore or {}).items():
            for context in [contexts] if isinstance(contexts, Mapping) else contexts:
                self.use_oscore(scope, **context)
        for scope, given in (edhoc or {}).items():
            for keys in [given] if isinstance(given, Mapping) else given:
                self.use_edhoc(scope, **keys)
        if credentials is not None:
            _copal.use_file(h, credentials)
        self.tune(None, **parameters)

    def __repr__(self) -> str:
        if self._handle is None or not _copal.is_alive(self._handle):
            return "<copal.Endpoint (closed)>"
        return f"<copal.Endpoint {' '.join(self.addresses) or 'not listening'}>"

    # ---- Asking

    def _ask(self, code: int, uri: str, body: Any, options: dict[str, Any]) -> Request:
        request, handle, flags = self._new_request(code, uri), self._alive(), 0
        if is_stream(body):
            request._source = Source(body)
            body, flags = None, _copal.STREAM_OUT
        if (progress := options.get("progress")) is not None:
            request._progress = progress
        if (sink := options.get("sink")) is not None:
            request._sink = sink
        return request._start(handle, build(handle, code, uri, body, options, flags, lenient=True))

    def _new_request(self, code: int, uri: str) -> Request:
        if not isinstance(uri, str):
            raise TypeError(f"a URI expected, got {type(uri).__name__}")
        self._alive()
        request: Request = _copal.new_request(self, self._attached(), code, uri)
        return request

    @_asks(_GET)
    def get(self, uri: str, **options: Any) -> Request:
        """Asks for a representation: ``res = await c.get(uri)``.

        options: ``accept=``, ``format=`` a Content-Format; ``query=`` a dict or
        list; ``etag if_match if_none_match max_age observe hop_limit proxy_uri
        proxy_scheme no_response size1 size2``; ``options={"ETag": b"x", 65000:
        7}`` for any other; ``non=True``, or False where profile() says so;
        ``no_cache=True``; ``sink=`` a file or
        function that takes the body piece by piece, ``progress=fn(done, total)``
        in bytes; and the parameters of a message, times in seconds:
        ``timeout=60``, ``ack_timeout=12``, ``max_retransmit=2``,
        ``block_size=512``, ``interface="eth0"`` or its index.

        ``resume=(offset, etag)`` asks for the rest of a download that broke off;
        ``resume=offset`` with the same ``request_tag=`` goes on with an upload,
        where progress said or at another multiple of 16: 4.08 then means that
        the server has not kept the beginning; begin again, without it.

        A group (``coap://224.0.1.187/...``) is asked with ``non=True``; this gives
        its first answer, when the time for all of them is over: ``timeout``, or
        the 5 s of ``leisure`` that servers may take and 3 s. answers() gives each
        as it comes, find() who is there.

        Raises, when awaited: Timeout, Refused, BadURI, ... A 4.xx or 5.xx is a
        response. TypeError, ValueError: an option or its value, at once.
        """
        return self._ask(_GET, uri, None, options)

    @_asks(_DELETE)
    def delete(self, uri: str, **options: Any) -> Request:
        """Deletes what is there. options as for get()."""
        return self._ask(_DELETE, uri, None, options)

    @_asks(_PUT)
    def put(self, uri: str, body: Any = None, **options: Any) -> Request:
        """Replaces what is there by body: bytes; str; a binary file, iterator
        or async iterator of bytes, sent piece by piece; anything else as JSON.
        options as for get()."""
        return self._ask(_PUT, uri, body, options)

    @_asks(_POST)
    def post(self, uri: str, body: Any = None, **options: Any) -> Request:
        """Hands body over to be processed. body as for put()."""
        return self._ask(_POST, uri, body, options)

    @_asks(_FETCH)
    def fetch(self, uri: str, body: Any = None, **options: Any) -> Request:
        """Asks with a body that says for what (RFC 8132). body as for put()."""
        return self._ask(_FETCH, uri, body, options)

    @_asks(_PATCH)
    def patch(self, uri: str, body: Any = None, **options: Any) -> Request:
        """Changes a part (RFC 8132). body as for put()."""
        return self._ask(_PATCH, uri, body, options)

    @_asks(_IPATCH)
    def ipatch(self, uri: str, body: Any = None, **options: Any) -> Request:
        """Changes a part, idempotent (RFC 8132). body as for put()."""
        return self._ask(_IPATCH, uri, body, options)

    def request(self, message: Message) -> Request:
        """Sends a message; it may be sent again afterwards, but not changed."""
        handle = self._alive()
        if not isinstance(message, Message):
            raise TypeError(f"a copal.Message expected, got {type(message).__name__}")
        return self._new_request(message.code, message.uri)._start(handle, message)

    def message(self, code: CodeLike, uri: str | None = None, payload: Any = None, **options: Any) -> Message:
        """A message of this endpoint, to look at, change and request()."""
        return build(self._alive(), Code(code), uri, payload, options)

    def ping(self, uri: str) -> Ping:
        """Is anybody there: True when the peer answered. Timeout, Refused."""
        return Ping(self._attached(), self._alive(), uri)

    def send(self, message: Message, to: str) -> None:
        """Raw use: one message of any code to a base URI, no answer expected."""
        self._attached()
        _copal.send(self._alive(), message, to)

    def get_all(self, uris: Iterable[str], *, limit: int = 8, **options: Any) -> GetAll:
        """``async for uri, r in c.get_all(uris, limit=8, timeout=5)``: limit at
        a time, as they finish; r is a response or the Error."""
        self._alive()
        return GetAll(self, uris, limit, options)

    async def answers(
        self, uri: str, *, interface: str | int | None = None, **options: Any
    ) -> AsyncIterator[Message]:
        """``async for res in c.answers("coap://224.0.1.187/t")``: each answer
        to a request to a group as it comes, until ``timeout``, or the 5 s that
        servers may take and 3 s are over. interface: by name or index. options
        as for get(), and ``code="PUT"`` with ``payload=``. Timeout: nobody
        answered."""
        if interface is not None:
            options["interface"] = interface
        options.setdefault("non", True)
        code = Code(options.pop("code", "GET"))
        body = options.pop("payload", None)
        async for message in self._ask(code, uri, body, options):
            yield message

    def find(
        self,
        *,
        rt: str | None = None,
        group: str | Iterable[str] | None = None,
        interface: str | int | Iterable[str | int] | None = None,
        hops: int | None = None,
        wait: float | None = None,
        query: Mapping[str, Any] | Iterable[str] | None = None,
    ) -> AsyncIterator[Device]:
        """``async for dev in c.find(wait=3)``: who answers, once each:
        ``dev.remote``, ``dev.links(rt="temperature")``. By multicast to all CoAP
        nodes, or to group, by every interface that can, or those named. rt and
        query say what is looked for. wait: seconds, instead of the 5 that
        devices may take and 3 more. Error ENOENT: no such interface."""
        return find(self, rt, group, interface, hops, wait, query)

    @property
    def interfaces(self) -> list[tuple[str, int]]:
        """Name and index of those that reach groups; loopback is the last. A
        simulated host has none."""
        return _copal.interfaces(self._alive())

    def _observe(self, uri: str | Iterable[str], watch: bool, options: dict[str, Any]) -> Observation:
        handle = self._alive()
        uris = [uri] if isinstance(uri, str) else list(uri)
        feed = Feed(self._attached(), handle, watch)
        flags = _copal.WATCH if watch else 0
        if not watch:
            options["observe"] = 0
        code = Code(options.pop("code", "GET"))
        body = options.pop("payload", None)
        for one in uris:
            feed.add(build(handle, code, one, body, options, flags, lenient=True), one)
        return Observation(feed, uris, "watch" if watch else "observe")

    def observe(self, uri: str | Iterable[str], **options: Any) -> Observation:
        """``async for n in c.observe(uri)``: every notification (RFC 7641);
        leaving the loop deregisters. options as for get(), and ``code="FETCH"``
        with ``payload=``."""
        return self._observe(uri, False, options)

    def watch(self, uri: str | Iterable[str], **options: Any) -> Observation:
        """``async for n in c.watch(uri, silence=90)``: never quiet without
        telling. ``n.event`` is ``value`` (n is a Message), ``silent``,
        ``resumed`` or ``ended``; ``n.reason`` says why. silence: seconds
        within which something is heard, asked for in time if need be; not
        given: by Max-Age. What was asked for is told if it is new."""
        return self._observe(uri, True, options)

    async def strays(self) -> AsyncIterator[Message]:
        """``async for m in c.strays()``: messages that nobody asked for."""
        queue: Queue[Message] = Queue(self._attached())
        _copal.strays(self._alive(), lambda kind, m=None: queue.push(m))
        try:
            while True:
                yield await queue.pop()
        finally:
            if self._handle is not None:
                _copal.strays(self._handle, None)

    def understand(self, option: int | str) -> None:
        """Accepts a critical option that copal does not know."""
        _copal.understand(self._alive(), _values.option_number(option))

    # ---- Serving

    @overload
    def serve(
        self, path: str, fn: None = None, *, method: CodeLike | None = None, **spec: Any
    ) -> Callable[[H], H]: ...
    @overload
    def serve(self, path: str, fn: H, *, method: CodeLike | None = None, **spec: Any) -> H: ...
    def serve(self, path: str, fn: Any = None, *, method: CodeLike | None = None, **spec: Any) -> Any:
        """Answers at path, which may hold ``{name}`` segments and end in ``*``::

            @c.serve("/hello/{name}")
            async def hello(req):
                return "hello " + req.params["name"]

            @c.serve("/note", method="PUT")
            c.serve("/note", get=read, put=write, observable=True, rt="note")

        A handler takes the request (a Message) and returns, or awaits and
        returns: str (text/plain), bytes, None (no body), a dict or list (JSON),
        a Code such as ``copal.NOT_FOUND``, a tuple (code, body),
        (code, body, format) or (body, format), a binary file or iterator of
        bytes, a Response with options, or a Message. A body may be a Problem,
        ``return copal.BAD_REQUEST, copal.Problem("too hot")``, or a dict of its
        fields where format is ``copal.PROBLEM``. An async handler runs at
        once up to where it waits. One that raises is answered 5.00 without
        text; the loop's exception handler hears of it, of ``log_burst`` (10) at
        once and ``log_rate`` (1) a second, with how many like it were left out
        in ``context["left_out"]``.

        method: ``"PUT"``, ``"0.30"``, ``copal.PUT``, ``"any"``; not given: GET.
        spec: get put post delete fetch patch ipatch any, a handler each;
        observable, streamed (see Message.chunks()), unlisted, secure, group,
        per_peer; every other is a link attribute (``rt``, ``if_``, ``title``,
        ``ct``, ``sz``).

        Error EEXIST: served already. Invalid: the path.
        """
        if not isinstance(path, str):
            raise TypeError(f"a path expected, got {type(path).__name__}")
        handlers = {METHODS[key]: spec.pop(key) for key in list(spec) if key in METHODS}
        for key, value in spec.items():  # else a handler would be taken for an attribute's value
            if callable(value):
                raise TypeError(f"serve: {key} is no method's keyword; method='0.30' gives one that has none")
        if fn is not None:
            handlers[1 if method is None else method_of(method)] = fn
        elif not handlers:
            wanted = "GET" if method is None else method

            def decorate(handler: H) -> H:
                self.serve(path, handler, method=wanted, **spec)
                return handler

            return decorate
        for handler in handlers.values():
            if not callable(handler):
                raise TypeError(f"a handler is callable, got {type(handler).__name__}")
        flags = 0
        for key, bit in FLAGS.items():
            if spec.pop(key, False):
                flags |= bit
        handle = self._alive()
        for number, handler in handlers.items():
            resource = Resource(self, handler, path, bool(flags & _copal.STREAMED))
            _copal.serve_handler(handle, number, path, flags, resource, handler, resource.prepares)
        for key, value in spec.items():
            if value is not False and value is not None:
                self.describe(path, key.rstrip("_"), None if value is True else str(value))
        return fn

    def value(self, path: str, initial: Any = None, *, format: FormatLike | None = None, **spec: Any) -> Value:
        """An observable resource that is one value: ``t = c.value("/temp",
        21.5)``; ``t.value = 22`` tells everybody. spec as for serve()."""
        value = Value(self, path, initial, format)
        spec.setdefault("observable", True)
        spec.setdefault("get", value._get)
        self.serve(path, **spec)
        return value

    def unserve(self, path: str) -> None:
        """Takes a path away; its observers get 4.04. Error ENOENT."""
        _copal.unserve(self._alive(), path)

    def describe(self, path: str, name: str, value: str | None = None) -> None:
        """Adds a link attribute to a path."""
        _copal.describe(self._alive(), path, name, value)

    def notify(self, path: str) -> int:
        """The representation at path changed. Returns how many observers will
        be told."""
        return _copal.notify(self._alive(), path)

    def links(self, **wanted: Wanted) -> Links:
        """What is listed in /.well-known/core, filtered:
        ``links(rt="temperature")``."""
        return parse_links(_copal.links(self._alive()).decode()).filter(**wanted)

    def listen(self, uri: str, *, reuse_address: bool = False, reuse_port: bool = False) -> None:
        """Accepts at a URI without path: ``coap://*``, ``coap://[::1]:0``; port
        0 is any free one. reuse_port: an endpoint of several, each in a process or
        thread of its own, among which the system spreads the clients; they share
        nothing. BadURI; NetworkError EINUSE; NotPermitted."""
        flags = _copal.REUSE_ADDRESS if reuse_address else 0
        _copal.listen(self._alive(), uri, flags | (_copal.REUSE_PORT if reuse_port else 0))

    @property
    def addresses(self) -> list[str]:
        """The URIs bound by listen(), with their real ports."""
        found: list[str] = []
        while (uri := _copal.bound(self._alive(), len(found))) is not None:
            found.append(uri)
        return found

    def allow_origin(self, origin: str) -> None:
        """Lets pages of one more origin, ``https://example.org``, connect by
        WebSocket, besides those of the host that they connect to; ``*``: of any.
        RFC 6455 10.2."""
        _copal.allow_origin(self._alive(), origin)

    def allow_host(self, name: str) -> None:
        """One more name of this host, ``device.example``, by which its own pages may
        connect by WebSocket, besides an address, ``localhost`` and the names of its
        certificates, as anybody can lead a name here (DNS rebinding); ``*``: any
        name."""
        _copal.allow_host(self._alive(), name)

    def take_over(self, sock: int | socket.socket) -> None:
        """Accepts at a UDP socket that is bound already, as ``hand_over()`` or
        systemd give one. Yours stays open. Invalid: no such socket."""
        _copal.take_over(self._alive(), sock if isinstance(sock, int) else sock.fileno())

    def hand_over(self, i: int) -> int:
        """Reads no more at ``addresses[i]``: what comes waits in the socket, of
        which this returns a descriptor, for who goes on there with
        ``take_over()``. Error ENOENT; NotSupported: not UDP."""
        return _copal.hand_over(self._alive(), i)

    def join(self, group: str, interface: str | None = None) -> None:
        """Hears a group's address, on one interface or on all."""
        _copal.join(self._alive(), group, interface)

    def leave(self, group: str, interface: str | None = None) -> None:
        """Hears it no more."""
        _copal.leave(self._alive(), group, interface)

    # ---- Tuning and looking inside

    def tune(self, scope: str | None = None, **parameters: float | str) -> None:
        """``c.tune("coap://sleepy", ack_timeout=12)``: parameters for the peers
        under a URI prefix; None: of the endpoint. Times in seconds. Invalid:
        out of range, or not to be set there."""
        for name, value in parameters.items():
            row = param(self._alive(), name, value)
            if row is None:
                raise TypeError(f"no such parameter: {name}")
            _copal.tune(self._alive(), scope, row[0], row[1])

    def profile(self, scope: str | None, name: str | None) -> None:
        """``c.profile("coaps://gateway", "tradfri")``: what devices under a URI
        prefix (None: everywhere) want that do as RFC 7252 says in a way of their
        own: parameters, critical options that are accepted, and what each request
        gets that is not in it. There are ``samsung-ocf``, ``shelly``,
        ``thread-sleepy`` and ``tradfri``. In place of the one before there; name
        None: no more, but parameters stay. Invalid: no such profile."""
        _copal.profile(self._alive(), scope, name)

    def disconnect(self, scope: str | None = None) -> None:
        """Closes connections and associations under a URI prefix; None: all.
        What waits for an answer by them ends with Closed."""
        _copal.disconnect(self._alive(), scope)

    @property
    def stats(self) -> Stats:
        """Counters, now."""
        return Stats(**_copal.stats(self._alive()))

    def metrics_text(self) -> str:
        """Counters as text that Prometheus reads, for a page of your own."""
        return _copal.metrics_text(self._alive()).decode()

    def metrics(self, where: str | int | None) -> int:
        """Gives metrics_text() to who asks by HTTP for ``/metrics``, at
        ``"127.0.0.1:9100"``, which ``9100`` means as well, or ``"[::1]:9100"``;
        port 0 is any free one. Returns the port. In place of the one before;
        None: no more. Nobody is asked who he is: on an address that others
        reach, they read it. Invalid: where; NetworkError EINUSE; Error ESTATE:
        a simulated host."""
        return _copal.metrics(self._alive(), None if where is None else str(where))

    # ---- Credentials

    def use_psk(self, scope: str, identity: str | bytes, key: str | bytes) -> None:
        """A pre-shared key for DTLS and TLS. scope: the beginning of a URI,
        ``"coaps+tcp://host"``, for whom we ask; ``"*"`` for who asks us."""
        _copal.use_psk(self._alive(), scope, _as_bytes(identity), _as_bytes(key))

    def use_cert(
        self, scope: str, *, cert: str | None = None, key: str | None = None, trusted: str | None = None
    ) -> None:
        """A certificate (or a bare public key) with its private key, and whom
        to trust: PEM texts, not names of files."""
        _copal.use_cert(self._alive(), scope, cert, key, trusted)

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
        """An OSCORE context (RFC 8613), with which messages are protected end
        to end: for requests to what is under scope, or with ``"*"`` those of
        one peer. Needs a store, see store(), unless rederives is true at both
        ends. What the two ends share, but for the IDs, which are the other way
        round there. aead and hkdf are numbers of COSE, 0 the default: 10
        (AES-CCM-16-64-128) and -10 (SHA-256); replay_window is in messages, 0:
        32; rederives: new keys whenever one end began anew (RFC 8613 B.2)."""
        _copal.use_oscore(
            self._alive(),
            scope,
            _as_bytes(secret),
            _as_bytes(salt),
            _as_bytes(sender_id),
            _as_bytes(recipient_id),
            _as_bytes(id_context or b""),
            int(id_context is not None),
            aead,
            hkdf,
            replay_window,
            int(rederives),
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
        """Keys for EDHOC (RFC 9528), which makes an OSCORE context with a host
        before the first request to what is under scope, or with ``"*"`` with
        whoever asks us; there each call adds. method: 0 to 3, suite: 0 to 6.
        private_key: 32 bytes, or PEM. credential, and peer_credential, whom
        we believe: a CWT Claims Set or a CWT in CBOR, or a certificate in DER
        or PEM. identifier: how ours is named in messages, a header map of COSE
        in CBOR; by kid, or by value, if empty. combined: the last message goes
        along with the first request (RFC 9668). See make_edhoc()."""
        _copal.use_edhoc(
            self._alive(),
            scope,
            method,
            suite,
            _as_bytes(private_key),
            _as_bytes(credential),
            _as_bytes(peer_credential),
            _as_bytes(identifier),
            int(combined),
        )

    def use_file(self, path: str | os.PathLike[str]) -> None:
        """All of a credentials file, which nobody else may read."""
        _copal.use_file(self._alive(), os.fspath(path))

    def use_lookup(self, kind: str, fn: Callable[[str], Any]) -> None:
        """Keys on demand: of ``"psk"`` fn(identity) gives the key, of
        ``"rpk"`` fn(name) whether that public key is to be trusted; None or
        False: no. fn may be async; only the peer in question waits."""
        if kind not in ("psk", "rpk"):
            raise ValueError(f"use_lookup: psk or rpk, not {kind!r}")
        if not callable(fn):
            raise TypeError(f"a function expected, got {type(fn).__name__}")
        self._lookups[kind] = fn
        _copal.lookup_handler(self._alive(), "*", *look_up(self, self._lookups))

    def store(self, where: str | os.PathLike[str] | Keeper) -> None:
        """Where state is kept that must survive a crash: a directory, which is
        this endpoint's alone, or an object with get, put and delete, see
        Keeper. Once, best before anything else."""
        if isinstance(where, (str, os.PathLike)):
            _copal.store(self._alive(), os.fspath(where), None)
        elif all(callable(getattr(where, name, None)) for name in ("get", "put", "delete")):
            _copal.store_handler(self._alive(), *store_by(self, where))
        else:
            raise TypeError(f"a directory, or get, put and delete expected, got {type(where).__name__}")

    def forget(self, scope: str) -> None:
        """Takes every credential of scope away."""
        _copal.forget(self._alive(), scope)

    def log_to(self, what: str, path: str | os.PathLike[str] | None) -> None:
        """Writes to a file: ``capture``, plaintext messages as pcapng, from now
        on, None: no more; or ``recording``, at once, what the flight recorder
        holds (``record_memory``), for ``copal replay`` and ``copal trace``.
        ``keys``: those of TLS sessions that begin from now on, in NSS format;
        None: no more.
        Error: the file cannot be written, nothing is recorded, or copal was
        built without GnuTLS."""
        logs = {"capture": _copal.LOG_CAPTURE, "keys": _copal.LOG_KEYS, "recording": _copal.LOG_RECORDING}
        if what not in logs:
            raise ValueError(f"log_to: capture, keys or recording, not {what!r}")
        _copal.log_to(self._alive(), logs[what], None if path is None else os.fspath(path))

    def trace(self, what: str, fn: Callable[[dict[str, Any]], object] | None) -> None:
        """Calls fn with each event of the groups in what (``wire``, ``state``,
        ``security``, with spaces between); None: no more."""
        groups = {"wire": _copal.TRACE_WIRE, "state": _copal.TRACE_STATE, "security": _copal.TRACE_SECURITY}
        bits = 0
        for word in what.split():
            if word not in groups:
                raise ValueError(f"trace: wire, state or security, not {word!r}")
            bits |= groups[word]
        if fn is None:
            _copal.trace(self._alive(), 0, None)
            return
        tell = fn

        def on_line(kind: int, text: str) -> None:
            try:
                tell(json.loads(text))
            except Exception as e:
                self._report("trace", "exception in copal trace", e)

        _copal.trace(self._alive(), bits, on_line)


def _as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)
