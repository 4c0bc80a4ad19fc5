"""Link format (RFC 6690): the list of resources a server offers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Union, overload

from ._errors import failure

Wanted = Union[str, int, bool]

_HREF = re.compile(r"\s*<([^>]*)>\s*")
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*:")
_PARAM = re.compile(r'\s*;\s*([^\s=;,]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^;,"]*))?\s*', re.S)


class Link:
    """One link: where it leads and its attributes."""

    __slots__ = ("href", "attributes", "uri")

    href: str
    """As it was told, often relative."""
    attributes: dict[str, str | bool]
    """By name; True for one without a value."""
    uri: str
    """The whole URI, by who told it; as href where nobody did."""

    def __init__(self, href: str, attributes: dict[str, str | bool], uri: str | None = None) -> None:
        self.href = href
        self.attributes = attributes
        self.uri = href if uri is None else uri

    def __getitem__(self, name: str) -> str | bool:
        return self.attributes[name]

    def __contains__(self, name: str) -> bool:
        return name in self.attributes

    def get(self, name: str, default: str | bool | None = None) -> str | bool | None:
        """The value of an attribute, True for one without; default: not there."""
        return self.attributes.get(name, default)

    def __str__(self) -> str:
        parts = [f"<{self.href}>"]
        for name, value in self.attributes.items():
            if value is True:
                parts.append(name)
            else:
                text = str(value).replace("\\", "\\\\").replace('"', '\\"')
                parts.append(f"{name}={text}" if text.isdigit() else f'{name}="{text}"')
        return ";".join(parts)

    def __repr__(self) -> str:
        return f"<copal.Link {self}>"


class Links(Sequence[Link]):
    """A list of links; str() is the link format."""

    def __init__(self, links: list[Link]) -> None:
        self._links = links

    @overload
    def __getitem__(self, i: int) -> Link: ...
    @overload
    def __getitem__(self, i: slice) -> Links: ...
    def __getitem__(self, i: int | slice) -> Link | Links:
        return Links(self._links[i]) if isinstance(i, slice) else self._links[i]

    def __len__(self) -> int:
        return len(self._links)

    def __iter__(self) -> Iterator[Link]:
        return iter(self._links)

    def filter(self, **wanted: Wanted) -> Links:
        """Those links whose attributes have all the wanted values; a value may
        end in ``*``, True wants the attribute to be there, ``if_`` is ``if``."""
        return Links([k for k in self._links if all(_fits(k, n.rstrip("_"), v) for n, v in wanted.items())])

    def __str__(self) -> str:
        return ",".join(map(str, self._links))

    def __repr__(self) -> str:
        return f"<copal.Links {self}>"


def _fits(link: Link, name: str, wanted: Wanted) -> bool:
    value = link.href if name == "href" else link.get(name)
    if wanted is True:
        return value is not None
    if not isinstance(value, str):
        return False
    text = str(wanted)
    if text.endswith("*"):
        return any(word.startswith(text[:-1]) for word in value.split())
    return text in value.split()


def _resolve(base: str, href: str) -> str:
    """A link is relative to who told it. RFC 6690 2.1, RFC 7252 8.2."""
    if not base or _SCHEME.match(href):
        return href
    if href.startswith("//"):
        return base.partition("//")[0] + href
    return base + href if href.startswith("/") else f"{base}/{href}"


def parse_links(text: str, base: str = "") -> Links:
    """Reads link format; base: the URI of who told it, without path. Invalid
    (EFORMAT): not understood."""
    links: list[Link] = []
    at = 0
    if not text.strip():
        return Links(links)
    while True:
        href = _HREF.match(text, at)
        if href is None:
            raise failure("EFORMAT", f"link format not understood at character {at}")
        at = href.end()
        attributes: dict[str, str | bool] = {}
        while (one := _PARAM.match(text, at)) is not None:
            value = one[2]
            if value is not None and value.startswith('"'):
                value = re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.S)
            # The first of a name counts, others of the same are ignored.
            attributes.setdefault(one[1], True if value is None else value.rstrip())
            at = one.end()
        links.append(Link(href[1], attributes, _resolve(base, href[1])))
        if at == len(text):
            return Links(links)
        if text[at] != ",":
            raise failure("EFORMAT", f"link format not understood at character {at}")
        at += 1
