"""Who is out there: one request to groups, and everybody who answers it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from . import _copal
from ._ask import Queue
from ._errors import Error, failure
from ._links import Links, Wanted
from ._message import Address, Message, build, interface_index

if TYPE_CHECKING:
    from ._endpoint import Endpoint

ALL_NODES = ("coap://224.0.1.187", "coap://[ff02::fd]", "coap://[ff05::fd]")
"""The groups of all CoAP nodes. RFC 7252 12.8."""

_CORE = "/.well-known/core"
_GET = 1


class Device:
    """One that answered: ``dev.remote``, ``dev.links(rt="temperature")`` and
    ``dev.response``, the answer itself."""

    __slots__ = ("remote", "response")

    remote: Address
    response: Message

    def __init__(self, response: Message) -> None:
        self.remote, self.response = response.remote, response

    def links(self, **wanted: Wanted) -> Links:
        """What it offers, those with all the wanted attributes; each has its
        whole URI in ``link.uri``. Error EFORMAT: it is not link format."""
        return self.response.links(**wanted)

    def __str__(self) -> str:
        return self.remote.uri

    def __repr__(self) -> str:
        return f"<copal.Device {self}>"


def _places(handle: _copal.Endpoint, interface: str | int | Iterable[str | int] | None) -> list[int | None]:
    """The indices to ask by; None: the system's choice."""
    if interface is not None:
        names = [interface] if isinstance(interface, (str, int)) else interface
        return [interface_index(handle, name) for name in names]
    every: list[int | None] = [index for _, index in _copal.interfaces(handle)]
    return every[: max(len(every) - 1, 1)] or [None]  # loopback is the last


class _Search:
    """The requests of one find(), and what came of them."""

    def __init__(self, coap: Endpoint) -> None:
        self.queue: Queue[Device] = Queue(coap._attached())
        self._exchanges: list[_copal.Exchange] = []
        self._seen: set[str] = set()
        self._open = 0
        self._error: Error | None = None

    def ask(self, handle: _copal.Endpoint, m: Message) -> None:
        self._open += 1
        self._exchanges.append(_copal.request(handle, m, self._on_event))

    def _on_event(self, kind: int, a: Any = None, b: Any = None, c: Any = None) -> None:
        if kind == _copal.RESPONSE:
            remote = a.remote.uri
            if a.code.cls == 2 and remote not in self._seen:
                self._seen.add(remote)
                self.queue.push(Device(a))
        elif kind == _copal.END:
            if a and (self._error is None or a == "ETIMEOUT"):
                self._error = failure(a, b)
            self._open -= 1
            if self._open == 0:
                # That nobody answered is an answer.
                nobody = self._seen or (self._error is not None and self._error.name == "ETIMEOUT")
                self.queue.close(None if nobody else self._error)

    def cancel(self) -> None:
        for x in self._exchanges:
            try:
                _copal.cancel(x)
            except Error:
                pass  # this one is over already


async def find(
    coap: Endpoint,
    rt: str | None,
    group: str | Iterable[str] | None,
    interface: str | int | Iterable[str | int] | None,
    hops: int | None,
    wait: float | None,
    query: Mapping[str, Any] | Iterable[str] | None,
) -> AsyncIterator[Device]:
    """As Endpoint.find() says."""
    handle = coap._alive()
    search = _Search(coap)
    groups = [group] if isinstance(group, str) else list(group or ALL_NODES)
    options: dict[str, Any] = {"non": True, "accept": 40}
    asked = list(f"{k}={v}" for k, v in query.items()) if isinstance(query, Mapping) else list(query or ())
    options["query"] = asked + ([f"rt={rt}"] if rt is not None else [])
    options |= {k: v for k, v in (("hops", hops), ("timeout", wait)) if v is not None}
    try:
        for place in _places(handle, interface):
            for uri in groups:
                by = {} if place is None else {"interface": place}
                m = build(handle, _GET, uri.rstrip("/") + _CORE, None, {**options, **by}, 0, lenient=True)
                search.ask(handle, m)
        while True:
            try:
                yield await search.queue.pop()
            except StopAsyncIteration:
                return
    finally:
        search.cancel()
