"""copal: CoAP for Python, for asyncio and for plain scripts.

    >>> import copal
    >>> print(copal.get("coap://localhost/time").text)      # blocks

    async with copal.Endpoint() as coap:                     # in asyncio
        res = await coap.get("coap://localhost/time")
        print(res.code, res.text)

Endpoint is for asyncio, BlockingEndpoint has the same methods without. Times
are seconds. A 4.xx or 5.xx is a response; what fails otherwise raises an Error.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

from . import _copal, cbor, senml
from ._ask import GetAll, Note, Observation, Ping, Request
from ._blocking import Blocking, BlockingEndpoint, BlockingObservation
from ._endpoint import Endpoint, Stats
from ._errors import (
    BadURI,
    Cancelled,
    Closed,
    Error,
    Invalid,
    NetworkError,
    NotPermitted,
    NotSupported,
    OutOfMemory,
    Refused,
    Reset,
    ResponseError,
    Timeout,
)
from ._find import Device
from ._links import Link, Links
from ._message import Address, Message, Option, Options, Query, decode
from ._passenger import Timer
from ._problem import Problem
from ._serve import Chunks, Keeper, Response, Value
from ._sim import Sim
from ._values import Code, Format

__version__: str = _copal.version() or ""

EMPTY = Code("0.00")
GET = Code("0.01")
POST = Code("0.02")
PUT = Code("0.03")
DELETE = Code("0.04")
FETCH = Code("0.05")
PATCH = Code("0.06")
IPATCH = Code("0.07")
CREATED = Code("2.01")
DELETED = Code("2.02")
VALID = Code("2.03")
CHANGED = Code("2.04")
CONTENT = Code("2.05")
CONTINUE = Code("2.31")
BAD_REQUEST = Code("4.00")
UNAUTHORIZED = Code("4.01")
BAD_OPTION = Code("4.02")
FORBIDDEN = Code("4.03")
NOT_FOUND = Code("4.04")
METHOD_NOT_ALLOWED = Code("4.05")
NOT_ACCEPTABLE = Code("4.06")
INCOMPLETE = Code("4.08")
CONFLICT = Code("4.09")
PRECONDITION_FAILED = Code("4.12")
TOO_LARGE = Code("4.13")
UNSUPPORTED_FORMAT = Code("4.15")
UNPROCESSABLE = Code("4.22")
TOO_MANY_REQUESTS = Code("4.29")
INTERNAL_ERROR = Code("5.00")
NOT_IMPLEMENTED = Code("5.01")
BAD_GATEWAY = Code("5.02")
UNAVAILABLE = Code("5.03")
GATEWAY_TIMEOUT = Code("5.04")
PROXYING_NOT_SUPPORTED = Code("5.05")
HOP_LIMIT_REACHED = Code("5.08")

TEXT = Format(0)
LINKS = Format(40)
XML = Format(41)
OCTETS = Format(42)
JSON = Format(50)
CBOR = Format(60)
PROBLEM = Format(257)


# ---- Shortcuts -----------------------------------------------------------------

_local = threading.local()


def default() -> BlockingEndpoint:
    """The endpoint of the shortcuts, made at first use: one for each thread."""
    coap: BlockingEndpoint | None = getattr(_local, "coap", None)
    if coap is None or coap.is_closed:
        coap = _local.coap = BlockingEndpoint()
    return coap


def set_default(coap: BlockingEndpoint) -> None:
    """The shortcuts of this thread use this one from now on."""
    if not isinstance(coap, BlockingEndpoint):
        raise TypeError(f"a copal.BlockingEndpoint expected, got {type(coap).__name__}")
    _local.coap = coap


def _forget() -> None:
    """In a child of fork(): what was the parent's stays untouched."""
    _local.__dict__.clear()


def _close() -> None:
    coap: BlockingEndpoint | None = getattr(_local, "coap", None)
    if coap is not None and not coap._loop.is_running():
        coap.close(0)


os.register_at_fork(after_in_child=_forget)
atexit.register(_close)


def get(uri: str, **options: Any) -> Message:
    """Asks for a representation and waits for it: ``copal.get(uri).text``.

    options and errors as for Endpoint.get(). In a running asyncio loop Error
    ESTATE: use Endpoint there."""
    return default().get(uri, **options)


def delete(uri: str, **options: Any) -> Message:
    """Deletes what is there. options as for get()."""
    return default().delete(uri, **options)


def put(uri: str, body: Any = None, **options: Any) -> Message:
    """Replaces what is there by body: bytes, str, a binary file or iterator, or
    anything that JSON can have. options as for get()."""
    return default().put(uri, body, **options)


def post(uri: str, body: Any = None, **options: Any) -> Message:
    """Hands body over to be processed. body as for put()."""
    return default().post(uri, body, **options)


def fetch(uri: str, body: Any = None, **options: Any) -> Message:
    """Asks with a body that says for what (RFC 8132). body as for put()."""
    return default().fetch(uri, body, **options)


def patch(uri: str, body: Any = None, **options: Any) -> Message:
    """Changes a part (RFC 8132). body as for put()."""
    return default().patch(uri, body, **options)


def ipatch(uri: str, body: Any = None, **options: Any) -> Message:
    """Changes a part, idempotent (RFC 8132). body as for put()."""
    return default().ipatch(uri, body, **options)


def request(message: Message) -> Message:
    """Sends a message and waits for the response."""
    return default().request(message)


def ping(uri: str) -> bool:
    """Is anybody there: True when the peer answered. Timeout, Refused."""
    return default().ping(uri)


def observe(uri: str | Iterable[str], **options: Any) -> BlockingObservation:
    """``for n in copal.observe(uri)``: every notification."""
    return default().observe(uri, **options)


def watch(uri: str | Iterable[str], **options: Any) -> BlockingObservation:
    """``for n in copal.watch(uri, silence=90)``: never quiet without telling."""
    return default().watch(uri, **options)


def get_all(uris: Iterable[str], *, limit: int = 8, **options: Any) -> Blocking[tuple[str, Message | Error]]:
    """``for uri, r in copal.get_all(uris)``: as they finish; r is a response or
    the Error."""
    return default().get_all(uris, limit=limit, **options)


def sleep(seconds: float) -> None:
    """Waits, while the shortcuts' endpoint goes on."""
    default().sleep(seconds)


def answers(uri: str, **options: Any) -> Blocking[Message]:
    """``for res in copal.answers("coap://224.0.1.187/t")``: each answer to a
    request to a group. options as for Endpoint.answers()."""
    return default().answers(uri, **options)


def find(**options: Any) -> Blocking[Device]:
    """``for dev in copal.find(wait=3)``: who is out there: ``dev.remote``,
    ``dev.links(rt="temperature")``. options as for Endpoint.find()."""
    return default().find(**options)


def make_edhoc(curve: str, subject: str | bytes = b"", kid: str | bytes = b"") -> tuple[bytes, bytes]:
    """A new key for EDHOC: its secret, and the credential that is shown of it,
    a CWT Claims Set. curve: "P-256", "X25519" or "Ed25519". ValueError: none of
    these, a subject that is no UTF-8, or copal was built without GnuTLS."""
    number = {"P-256": 1, "X25519": 4, "Ed25519": 6}.get(curve, 0)
    text = [v.encode() if isinstance(v, str) else v for v in (subject, kid)]
    made = _copal.make_edhoc(number, *text)
    if not made:
        raise ValueError("make_edhoc: no such curve, a subject that is no UTF-8, or built without GnuTLS")
    return made[:32], made[32:]


def interfaces() -> list[tuple[str, int]]:
    """Name and index of those that reach groups; loopback is the last."""
    return default().interfaces


def replay(path: str | os.PathLike[str], fn: Callable[[dict[str, Any]], object] | None = None) -> None:
    """Runs a recording of ``log_to("recording", path)`` again, without a network
    and without handlers, and compares what it sends with what was sent. fn sees
    each event of the traces ``wire`` and ``state``. Error: ``ECHANGED``, it
    differs, and the text says where first; ``ENOTSUP``, it differs, and OSCORE or
    EDHOC had keys, which no recording holds; ``EFORMAT``, the file is damaged; or
    it cannot be read."""

    def on_line(line: str) -> None:
        if fn is not None:
            fn(json.loads(line))

    _copal.replay(os.fspath(path), on_line)


__all__ = [
    "Address", "BadURI", "Blocking", "BlockingEndpoint", "BlockingObservation", "Cancelled",
    "Chunks", "Closed", "Code", "Device", "Endpoint", "Error", "Format", "GetAll", "Invalid", "Keeper", "Link", "Links",
    "Message", "NetworkError", "Note", "NotPermitted", "NotSupported", "Observation", "Option",
    "Options", "OutOfMemory", "Ping", "Problem", "Query", "Refused", "Request", "Reset", "Response",
    "ResponseError", "Sim", "Stats", "Timeout", "Timer", "Value", "EMPTY", "GET", "POST", "PUT",
    "DELETE", "FETCH", "PATCH", "IPATCH", "CREATED", "DELETED", "VALID", "CHANGED", "CONTENT",
    "CONTINUE", "BAD_REQUEST", "UNAUTHORIZED", "BAD_OPTION", "FORBIDDEN", "NOT_FOUND",
    "METHOD_NOT_ALLOWED", "NOT_ACCEPTABLE", "INCOMPLETE", "CONFLICT", "PRECONDITION_FAILED",
    "TOO_LARGE", "UNSUPPORTED_FORMAT", "UNPROCESSABLE", "TOO_MANY_REQUESTS", "INTERNAL_ERROR",
    "NOT_IMPLEMENTED", "BAD_GATEWAY", "UNAVAILABLE", "GATEWAY_TIMEOUT", "PROXYING_NOT_SUPPORTED",
    "HOP_LIMIT_REACHED", "TEXT", "LINKS", "XML", "OCTETS", "JSON", "CBOR", "PROBLEM", "decode", "default", "delete",
    "fetch", "find", "get", "get_all", "interfaces", "ipatch", "observe", "patch", "ping", "post", "put",
    "replay", "request", "set_default", "sleep", "watch",
]  # fmt: skip
