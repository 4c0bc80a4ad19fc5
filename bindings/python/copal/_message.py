"""Messages: fields are read from C when touched, nothing is kept twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple, Union, overload

from . import _copal, _problem, _values, cbor, senml
from ._errors import BadURI, Error, Invalid, ResponseError, failure
from ._links import Links, Wanted, parse_links
from ._problem import Problem, ProblemLike
from ._values import Code, CodeLike, Format, FormatLike

Buffer = Union[bytes, bytearray, memoryview]
Scalar = Union[bytes, bytearray, memoryview, str, int, None]
OptionValue = Union[Scalar, Sequence[Scalar]]

_URI_PATH, _URI_QUERY, _ETAG, _ACCEPT, _MAX_AGE = 11, 15, 4, 17, 14
_TYPES = ("CON", "NON", "ACK", "RST")


class Address:
    """One end of a conversation; prints as a base URI, ``coap://[::1]``. False,
    with nothing in it, where there is none."""

    __slots__ = ("uri", "scheme", "hostinfo", "host", "port")

    uri: str
    """The base URI, with the port only if it is not the scheme's own."""
    scheme: str
    """``coap``, ``coaps+tcp``, ..."""
    hostinfo: str
    """Host and port as in the URI: ``[::1]:5684``."""
    host: str
    """The host alone, without brackets."""
    port: int | None
    """The port, None for the scheme's own."""

    def __init__(self, uri: str) -> None:
        scheme, mark, rest = uri.partition("://")
        self.scheme = scheme if mark else ""
        self.hostinfo = rest.partition("/")[0].partition("?")[0]
        self.uri = f"{self.scheme}://{self.hostinfo}" if self.hostinfo else ""
        if self.hostinfo.startswith("["):
            self.host, _, port = self.hostinfo[1:].partition("]")
            port = port[1:]
        else:
            self.host, _, port = self.hostinfo.partition(":")
        self.port = int(port) if port.isdigit() else None

    @property
    def is_multicast(self) -> bool:
        """Whether it is a group's."""
        try:
            return ip_address(self.host.partition("%")[0]).is_multicast
        except ValueError:
            return False  # a name

    def __bool__(self) -> bool:
        return bool(self.uri)

    def __str__(self) -> str:
        return self.uri

    def __repr__(self) -> str:
        return f"<copal.Address {self.uri}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Address):
            return NotImplemented
        return self.uri == other.uri

    def __hash__(self) -> int:
        return hash(self.uri)


class Query(Sequence[str]):
    """The Uri-Query options in order, and by name: ``query["rt"]`` is ``"x"``
    for ``rt=x`` and ``""`` for ``rt`` alone."""

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[str]) -> None:
        self._items = tuple(items)

    @overload
    def __getitem__(self, key: int | str) -> str: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[str, ...]: ...
    def __getitem__(self, key: int | str | slice) -> str | tuple[str, ...]:
        if not isinstance(key, str):
            return self._items[key]
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def get(self, key: str, default: str | None = None) -> str | None:
        """The value of the first item of that name; default: there is none."""
        for item in self._items:
            name, _, value = item.partition("=")
            if name == key:
                return value
        return default

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and (self.get(key) is not None or key in self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __str__(self) -> str:
        return "&".join(self._items)

    def __repr__(self) -> str:
        return f"<copal.Query {self}>"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Query):
            return self._items == other._items
        if not isinstance(other, (tuple, list)):
            return NotImplemented
        return self._items == tuple(other)

    def __hash__(self) -> int:
        return hash(self._items)


class Option(NamedTuple):
    """One option of a message."""

    number: int
    name: str
    value: bytes


class Options(Sequence[Option]):
    """All options in wire order; str() is a line for each option."""

    __slots__ = ("_items", "_text")

    def __init__(self, items: list[Option], text: str) -> None:
        self._items, self._text = items, text

    @overload
    def __getitem__(self, i: int) -> Option: ...
    @overload
    def __getitem__(self, i: slice) -> list[Option]: ...
    def __getitem__(self, i: int | slice) -> Option | list[Option]:
        return self._items[i]

    def __len__(self) -> int:
        return len(self._items)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<copal.Options {self._items!r}>"


class Message(_copal.Message):
    """A request or response: code, options, payload.

    ``Message("GET", "coap://host/path")`` makes one to be sent with
    ``request()``; the keywords are those of ``Endpoint.get()``. What was
    received or sent cannot be changed any more (ESTATE); ``copy()`` can.
    ``memoryview(message)`` is the payload where it lies.

    BadURI: the URI is not understood. ValueError: code or option.
    """

    __slots__ = ()  # what each has is C's

    def __new__(cls, code: CodeLike, uri: str | None = None, payload: Any = None, **options: Any) -> Message:
        return build(scratch(), Code(code), uri, payload, options)

    # ---- What it is

    # code, payload, text and path are C's.

    def _set_payload(self, body: Any) -> None:
        data, number = encode(body, self.format)
        _copal.msg_set_payload(self, -1 if number is None else number, data)

    @property
    def format(self) -> Format | None:
        """The Content-Format, ``== 0`` and printed as its media type; None:
        there is none."""
        number = _copal.msg_format(self)
        return None if number < 0 else Format(number)

    @format.setter
    def format(self, value: FormatLike | None) -> None:
        _copal.msg_set_payload(self, -1 if value is None else Format(value), self.payload)

    def _set_path(self, value: str | Iterable[str]) -> None:
        if isinstance(value, str):
            value = value.removeprefix("/").split("/") if value not in ("", "/") else ()
        self._replace(_URI_PATH, value)

    @property
    def query(self) -> Query:
        """The query in order and by name. May be assigned a list of texts or
        a dict."""
        return Query(self._texts(_URI_QUERY))

    @query.setter
    def query(self, value: Iterable[str] | Mapping[str, object]) -> None:
        self._replace(_URI_QUERY, _query_items(value))

    @property
    def uri(self) -> str:
        """The request's URI as its asker typed it, or as it arrived; a response
        has that of its request."""
        return _copal.msg_uri(self) or ""

    @uri.setter
    def uri(self, value: str) -> None:
        _copal.msg_set_uri(self, value)

    # ---- Where it came from

    @property
    def remote(self) -> Address:
        """The other end: of a received message who sent it, of one to be sent
        who will get it. False: it goes to many, or has no URI yet."""
        return Address(_copal.msg_remote(self) or self.uri)

    @property
    def local_address(self) -> Address:
        """Our end. False: a message of our own."""
        return Address(_copal.msg_local(self) or "")

    @property
    def identity(self) -> str | None:
        """The name that the peer proved, or None."""
        return _copal.msg_identity(self)

    @property
    def type(self) -> str | None:
        """``CON``, ``NON``, ``ACK`` or ``RST``; None: not received, or on TCP."""
        wire = _copal.msg_wire(self)
        return None if wire is None or wire[0] < 0 else _TYPES[wire[0]]

    @property
    def mid(self) -> int | None:
        """The message id; None: not received, or on TCP."""
        wire = _copal.msg_wire(self)
        return None if wire is None or wire[1] < 0 else wire[1]

    @property
    def token(self) -> bytes | None:
        """The token, None: not received."""
        wire = _copal.msg_wire(self)
        return None if wire is None else wire[4]

    @property
    def is_multicast(self) -> bool:
        """Whether it was sent to a group."""
        wire = _copal.msg_wire(self)
        return wire is not None and bool(wire[2])

    # ---- Options

    @property
    def options(self) -> Options:
        """Every option in wire order; prints a line for each."""
        code = _copal.msg_code(self)
        items = [Option(n, _values.option_name(n, code), v) for n, v in _copal.options(self)]
        return Options(items, _copal.msg_print(self, _copal.OPTION_LINES) or "")

    def option(self, option: int | str, i: int = 0) -> bytes | None:
        """The i-th value of an option by number or name; None: not there."""
        return _copal.msg_value(self, _number(self, option), i)

    def uint(self, option: int | str) -> int | None:
        """The value of an option that is a number; None: not there."""
        return _copal.msg_uint(self, _number(self, option))

    def add(self, option: int | str, value: OptionValue) -> None:
        """Adds an option; None is an empty value, a list several options."""
        _add(self, _number(self, option), value)

    def remove(self, option: int | str) -> None:
        """Takes an option away."""
        _copal.msg_remove(self, _number(self, option))

    @property
    def etag(self) -> bytes | None:
        """The ETag option, None: not there."""
        return _copal.msg_value(self, _ETAG, 0)

    @property
    def max_age(self) -> int | None:
        """The Max-Age option in seconds, None: not there (which means 60)."""
        return _copal.msg_uint(self, _MAX_AGE)

    @property
    def problem(self) -> Problem | None:
        """What went wrong, RFC 9290; None: the payload is something else, or
        malformed. May be assigned a Problem, a dict, or a title."""
        return _problem.read(self)

    @problem.setter
    def problem(self, value: ProblemLike) -> None:
        _problem.write(self, value)

    # ---- Of a request that is served

    @property
    def params(self) -> dict[str, str]:
        """What stood for the ``{name}`` segments of the served path."""
        try:
            x, names = self._exchange, self._names
        except AttributeError:
            return {}
        return {n: _copal.exchange_param(x, n) or "" for n in names}

    def chunks(self) -> Any:
        """The body piece by piece: ``async for piece in req.chunks()``; only for
        a path served with ``streamed=True``. A loop that ends had all of it: if
        the body breaks off, it raises the Error that says why (Timeout, Closed,
        Cancelled, ...), again and again."""
        chunks = self._chunks
        if chunks is None:
            raise failure("ESTATE", "chunks: the path is not served with streamed=True")
        chunks.is_taken = True
        return chunks

    # ---- Of a notification

    @property
    def event(self) -> str:
        """``value``: among what a watch tells, this is one."""
        return "value"

    @property
    def reason(self) -> str | None:
        """None; the other events of a watch have a sentence here."""
        return None

    # ---- What it means

    def json(self) -> Any:
        """The payload as JSON. Invalid (EFORMAT): it is none."""
        try:
            return json.loads(self.payload)
        except ValueError as e:
            raise failure("EFORMAT", f"not JSON: {e}") from None

    def cbor(self) -> Any:
        """The payload as CBOR (see copal.cbor). Invalid (EFORMAT): it is
        none."""
        return cbor.loads(self.payload)

    def senml(self) -> list[senml.Record]:
        """The records of a SenML pack, JSON unless the format says CBOR.
        Invalid (EFORMAT): it is none."""
        f = self.format
        cbor_says = f is not None and _values.kind(f) == "senml+cbor"
        return senml.loads(self.payload, "cbor" if cbor_says else "json")

    def links(self, **wanted: Wanted) -> Links:
        """The payload as link format, filtered: ``links(rt="temperature")``;
        each has its whole URI in ``link.uri``. Invalid (EFORMAT): it is none."""
        all_links = parse_links(self.text, self.remote.uri)
        return all_links.filter(**wanted) if wanted else all_links

    def decode(self) -> Any:
        """By Content-Format: JSON and CBOR as Python objects, link format as
        Links, SenML as senml.Record, text as str, anything else as bytes."""
        f = self.format
        kind = None if f is None else _values.kind(f)
        if kind == "text":
            return self.text
        if kind == "links":
            return self.links()
        if kind == "json":
            return self.json()
        if kind == "cbor":
            return self.cbor()
        if kind == "cbor-seq":
            return cbor.loads_sequence(self.payload)
        if kind in ("senml+json", "senml+cbor"):
            return self.senml()
        return self.payload

    def check(self) -> Message:
        """Itself if it is a success, for ``(await c.get(uri)).check()``.
        ResponseError: a 4.xx or 5.xx, which has ``response``."""
        code = self.code
        if code.is_successful:
            return self
        text = f"{code}: {self.uri}"
        body = self.payload
        problem = self.problem
        if problem is not None:
            text += f": {problem}"
        elif body and self.format in (None, 0):
            text += f": {self.text}"
        e = ResponseError("ESTATE", text, self)
        e.name, e.code = code.dotted, code.number
        raise e

    def copy(self) -> Message:
        """A copy that may be changed and sent."""
        copied = _copal.msg_copy(self)
        assert isinstance(copied, Message)
        return copied

    def __str__(self) -> str:
        return _copal.msg_print(self, _copal.LINE) or ""

    def __repr__(self) -> str:
        return f"<copal.Message {self}>"

    def _texts(self, option: int) -> Iterator[str]:
        i = 0
        while (value := _copal.msg_value(self, option, i)) is not None:
            yield value.decode("utf-8", "replace")
            i += 1

    def _replace(self, option: int, values: Iterable[str]) -> None:
        _copal.msg_remove(self, option)
        for value in values:
            _copal.msg_add(self, option, value.encode())


_copal.set_classes(Message, failure, _values.code_objects)


# ---- Decoding ----------------------------------------------------------------


def decode(datagram: Buffer) -> Message:
    """The message in a UDP datagram that came by no endpoint: of a capture, a
    test, a transport of one's own. It is as if received, from nobody.

    Error EFORMAT: it is malformed; the text says how and at which byte."""
    message: Message = _copal.msg_decode(scratch(), datagram)  # type: ignore[assignment]
    return message


# ---- Building ----------------------------------------------------------------

_local = threading.local()


def scratch() -> _copal.Endpoint:
    """Where messages are made that no endpoint was named for: a simulated host,
    which has no sockets."""
    try:
        handle: _copal.Endpoint = _local.handle
        if _copal.is_alive(handle):
            return handle
    except AttributeError:
        pass
    _local.handle = _copal.sim_endpoint(_copal.sim_new(1), "scratch")
    return scratch()


def _query_items(value: Iterable[str] | Mapping[str, object]) -> list[str]:
    if isinstance(value, str):
        return value.split("&")
    if isinstance(value, Mapping):
        return [k if v is True or v is None else f"{k}={v}" for k, v in value.items()]
    return list(value)


def _number(m: Message, option: int | str) -> int:
    """Of an option of m: signals have some of their own."""
    if isinstance(option, int):
        return option
    return _values.option_number(option, _copal.msg_code(m))


def _add(m: Message, number: int, value: OptionValue) -> None:
    if isinstance(value, (bytes, bytearray, memoryview)):
        _copal.msg_add(m, number, value)
    elif isinstance(value, str):
        _copal.msg_add(m, number, value.encode())
    elif value is None or value is True:
        _copal.msg_add(m, number, b"")
    elif isinstance(value, int):
        _copal.msg_add_uint(m, number, value)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _add(m, number, item)
    else:
        raise TypeError(f"an option's value cannot be a {type(value).__name__}")


def encode(body: Any, format: FormatLike | None) -> tuple[Buffer, int | None]:
    """A body as it is given in Python -> bytes and the format's number."""
    f = None if format is None else Format(format)
    if isinstance(body, (bytes, bytearray, memoryview)):
        return body, f
    if isinstance(body, str):
        return body.encode(), 0 if f is None else f
    kind = None if f is None else _values.kind(f)
    if kind == "cbor":
        return cbor.dumps(body), f
    if kind in ("senml+json", "senml+cbor"):
        return senml.dumps(body, kind.removeprefix("senml+")), f
    if kind != "json" and isinstance(body, (bool, int, float)):
        text = str(body).lower() if isinstance(body, bool) else str(body)
        return text.encode(), 0 if f is None else f
    if f is not None and kind != "json":
        raise TypeError(f"a {type(body).__name__} cannot be sent as {f}; give bytes or str")
    try:
        return json.dumps(body, separators=(",", ":")).encode(), 50 if f is None else f
    except TypeError as e:
        raise TypeError(f"a body cannot be a {type(body).__name__}: {e}") from None


# What each keyword does to the message.
_PLAIN = {
    "etag": 4, "if_match": 1, "max_age": 14, "observe": 6, "hop_limit": 16,
    "proxy_uri": 35, "proxy_scheme": 39, "no_response": 258, "echo": 252,
    "request_tag": 292, "size1": 60, "size2": 28, "uri_host": 3,
    "location_path": 8, "location_query": 20,
}  # fmt: skip
_FLAGS = {
    "non": _copal.NON, "raw_blocks": _copal.RAW_BLOCKS,
    "any_port": _copal.ANY_PORT, "progress": _copal.TELL_PROGRESS,
    "sink": _copal.STREAM_IN, "no_cache": _copal.NO_CACHE,
}  # fmt: skip


def interface_index(handle: _copal.Endpoint, interface: str | int) -> int:
    """Of an interface by name. Error ENOENT: there is none, or it is down."""
    if isinstance(interface, int):
        return interface
    for name, index in _copal.interfaces(handle):
        if name == interface:
            return index
    raise failure("ENOENT", f"{interface}: this host has no such network interface, or it is down")


def param(handle: _copal.Endpoint, name: str, value: object) -> tuple[int, int] | None:
    """A parameter's number and value for C; None: there is none of that name.
    An interface may be named. Error ENOENT: there is no such."""
    if name == "interface" and isinstance(value, str):
        value = interface_index(handle, value)
    return _values.param(name, value)


def _is_problem(body: Any, format: FormatLike | None) -> bool:
    """Whether it is written as RFC 9290 has it, from the names of its fields; a
    dict with numbers for keys is the map as it is on the wire."""
    if isinstance(body, Problem):
        return True
    return (
        isinstance(body, Mapping)
        and format is not None
        and Format(format) == _problem.FORMAT
        and not any(isinstance(key, int) for key in body)
    )


def _add_all(m: Message, options: Any) -> None:
    pairs = options.items() if isinstance(options, Mapping) else options
    for option, value in pairs:
        _add(m, _number(m, option), value)


def _set_one(handle: _copal.Endpoint, m: Message, key: str, value: Any) -> None:
    if key in _PLAIN:
        _add(m, _PLAIN[key], value)
    elif key == "accept":
        _copal.msg_add_uint(m, _ACCEPT, Format(value))
    elif key == "if_none_match":
        if value:
            _copal.msg_add(m, 5, b"")
    elif key == "problem":
        _problem.write(m, value)
    elif key == "query":
        for item in _query_items(value):
            _copal.msg_add(m, _URI_QUERY, item.encode())
    elif key == "options":
        _add_all(m, value)
    elif key == "from_":
        _copal.msg_set_from(m, value)
    elif key == "resume":
        offset, etag = value if isinstance(value, tuple) else (value, b"")
        _copal.msg_resume(m, offset, etag or b"")
    else:
        row = param(handle, key, value)
        if row is None:
            raise TypeError(f"no such option or parameter: {key}")
        _copal.msg_tune(m, row[0], row[1])


def build(
    handle: _copal.Endpoint,
    code: int,
    uri: str | None,
    body: Any,
    options: Mapping[str, Any],
    flags: int = 0,
    lenient: bool = False,
) -> Message:
    """A new message of an endpoint. lenient: a bad URI is told by END."""
    m = _copal.msg_new(handle, code)
    assert isinstance(m, Message)
    key = "uri"
    try:
        if uri is not None:
            try:
                _copal.msg_set_uri(m, uri)
            except BadURI:
                if not lenient:
                    raise
        format = options.get("format")
        if _is_problem(body, format):
            _problem.write(m, body)
        elif body is not None or format is not None:
            data, number = encode(b"" if body is None else body, format)
            _copal.msg_set_payload(m, -1 if number is None else number, data)
        for key, value in options.items():
            if key == "format" or value is None:
                continue
            if key == "confirmable":
                key, value = "non", not value
            if key == "non" and not value:
                flags |= _copal.CON
            elif key in _FLAGS:
                flags |= _FLAGS[key] if value else 0
            else:
                _set_one(handle, m, key, value)
        if flags:
            _copal.msg_set_flags(m, flags)
    except Invalid as e:
        why = _copal.why(handle)
        if not why:
            raise
        raise type(e)(e.name, why if key in why else f"{key}: {why}") from None
    return m


__all__ = ["Address", "Buffer", "Error", "Message", "Option", "Options", "Query", "build", "decode", "encode", "scratch"]
