"""CBOR (RFC 8949) as Python objects.

    >>> copal.cbor.dumps({"on": True})
    b'\\xa1bon\\xf5'

Integers are ints of any size, floats are floats, text is str, byte strings are
bytes, arrays are lists (tuples as keys), maps are dicts, null is None; tags are
Tag, other simple values Simple, ``undefined`` among them. What is written is
deterministic (RFC 8949 4.2): keys sorted, everything as short as can be. A map
with a key twice is refused, and so is nesting deeper than 64.
"""

from __future__ import annotations

from typing import Any

from . import _copal
from ._copal import Simple, Tag

undefined = Simple((23,))
"""The value ``undefined``."""


def dumps(value: Any) -> bytes:
    """The bytes of a value. TypeError or ValueError: CBOR cannot say it."""
    return _copal.cbor_encode(value)


def loads(data: bytes | bytearray | memoryview) -> Any:
    """The value of the one item in data. Invalid (EFORMAT): it is none."""
    return _copal.cbor_decode(data)


def loads_sequence(data: bytes | bytearray | memoryview) -> list[Any]:
    """The values of any number of items, RFC 8742."""
    return [_copal.cbor_decode(item) for item in _copal.cbor_items(data)]


def diagnostic(data: bytes | bytearray | memoryview, indent: bool = False, sequence: bool = False) -> str:
    """Diagnostic notation, ``{"a": h'00ff'}``; indent: on several lines;
    sequence: any number of items. Invalid (EFORMAT): data is no CBOR."""
    return _copal.cbor_diagnostic(data, indent, sequence)


__all__ = ["Simple", "Tag", "diagnostic", "dumps", "loads", "loads_sequence", "undefined"]
