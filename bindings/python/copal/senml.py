"""SenML (RFC 8428): packs of measurements, in JSON or CBOR."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from . import cbor
from ._errors import failure

_VERSION = 10  # the newest understood, RFC 8428 4.4

# Labels of CBOR, Table 4.
_labels = {
    "bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "bs": -6, "n": 0, "u": 1,
    "v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6, "ut": 7, "vd": 8,
}  # fmt: skip
_names = {label: name for name, label in _labels.items()}
_TEXTS = ("bn", "bu", "n", "u", "vs")
_NUMBERS = ("bver", "bt", "bv", "bs", "v", "s", "t", "ut")
_BASES = ("bver", "bn", "bt", "bu", "bv", "bs")
_VALUES = ("v", "vs", "vb", "vd")


class Record(NamedTuple):
    """One measurement, base fields applied (RFC 8428 4.6)."""

    name: str
    value: float | str | bool | bytes | None
    """None: only a sum is told."""
    unit: str | None = None
    time: float = 0
    """Seconds: below 2**28 relative to now, else since 1970 (4.5.3)."""
    sum: float | None = None
    update_time: float | None = None


def _is_number(v: object) -> bool:
    return isinstance(v, (int, float)) and not isinstance(v, bool)


def _fraction(v: Any) -> Any:
    """CBOR may give a number as a decimal fraction, tag 4 (RFC 8428 6)."""
    if isinstance(v, cbor.Tag) and v.tag == 4 and isinstance(v.value, list) and len(v.value) == 2:
        exponent, mantissa = v.value
        if type(exponent) is int and type(mantissa) is int and abs(exponent) <= 400 and abs(mantissa) < 2**64:
            return float(f"{mantissa}e{exponent}")
    return v


def _check(name: str, v: Any, from_cbor: bool) -> Any:
    if name in _NUMBERS:
        v = _fraction(v)
        good = _is_number(v)
    elif name in _TEXTS:
        good = isinstance(v, str)
    elif name == "vb":
        good = isinstance(v, bool)
    else:  # vd
        good = isinstance(v, bytes if from_cbor else str)
        if good and not from_cbor:
            try:
                v = base64.b64decode(v.replace("-", "+").replace("_", "/") + "=" * (-len(v) % 4), validate=True)
            except (binascii.Error, ValueError):
                good = False
    if not good:
        raise ValueError(f"{name} is not what it should be")
    return v


def _fields(record: object, from_cbor: bool) -> dict[str, Any]:
    """By their names. What is not known is left alone, but for a label that
    ends in "_" (RFC 8428 4.4)."""
    if not isinstance(record, dict):
        raise ValueError("not a map")
    fields = {}
    for key, v in record.items():
        name = _names.get(key, key) if from_cbor and type(key) is int else key
        if name in _labels:
            fields[name] = _check(name, v, from_cbor)
        elif isinstance(name, str) and name.endswith("_"):
            raise ValueError(f"'{name}' must be understood, and is not")
    return fields


def _total(a: float | None, b: float | None) -> float | None:
    return None if a is None and b is None else (a or 0) + (b or 0)


def _resolve(fields: dict[str, Any], base: dict[str, Any]) -> Record:
    given = [name for name in _VALUES if name in fields]
    if len(given) > 1:
        raise ValueError("more than one value")
    name = base.get("bn", "") + fields.get("n", "")
    if not name:
        raise ValueError("no name")
    value = fields[given[0]] if given and given[0] != "v" else _total(base.get("bv"), fields.get("v"))
    total = _total(base.get("bs"), fields.get("s"))
    if value is None and total is None:
        raise ValueError("no value")
    return Record(
        name, value, fields.get("u", base.get("bu")), base.get("bt", 0) + fields.get("t", 0), total, fields.get("ut")
    )


def _records(pack: object, from_cbor: bool) -> Iterable[Record]:
    base: dict[str, Any] = {}
    if not isinstance(pack, list):
        raise ValueError("not an array of records")
    for i, record in enumerate(pack, 1):
        try:
            fields = _fields(record, from_cbor)
            base.update((name, fields[name]) for name in _BASES if name in fields)
            if base.get("bver", _VERSION) > _VERSION:
                raise ValueError(f"version {base['bver']} is not understood")
            # Base fields alone say no value of their own.
            if not fields or any(name not in _BASES for name in fields):
                yield _resolve(fields, base)
        except ValueError as e:
            raise ValueError(f"record {i}: {e}") from None


def loads(data: bytes | bytearray | memoryview, format: str = "json") -> list[Record]:
    """The records of a pack; format is ``json`` or ``cbor``. Invalid
    (EFORMAT): it is none."""
    try:
        if format == "cbor":
            return list(_records(cbor.loads(data), True))
        return list(_records(json.loads(bytes(data)), False))
    except (ValueError, OverflowError, RecursionError) as e:
        raise failure("EFORMAT", f"not SenML: {e}") from None


def _labelled(record: Record | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(record, Mapping):
        return dict(record)
    if not isinstance(record, Record):
        raise TypeError(f"a SenML record is a Record or a dict, got {type(record).__name__}")
    v = record.value
    label = "vb" if isinstance(v, bool) else "vs" if isinstance(v, str) else "vd" if isinstance(v, bytes) else "v"
    fields = {
        "n": record.name, "u": record.unit, label: v, "t": record.time or None, "s": record.sum,
        "ut": record.update_time,
    }  # fmt: skip
    return {name: v for name, v in fields.items() if v is not None}


def dumps(records: Iterable[Record | Mapping[str, Any]], format: str = "json") -> bytes:
    """A pack of Records, or of dicts with RFC 8428's labels (``vd`` bytes);
    format is ``json`` or ``cbor``."""
    pack: list[dict[Any, Any]] = [_labelled(record) for record in records]
    if format == "cbor":
        return cbor.dumps([{_labels.get(name, name): v for name, v in fields.items()} for fields in pack])
    for fields in pack:
        if isinstance(fields.get("vd"), bytes):
            fields["vd"] = base64.urlsafe_b64encode(fields["vd"]).rstrip(b"=").decode()
    return json.dumps(pack, separators=(",", ":")).encode()


__all__ = ["Record", "dumps", "loads"]
