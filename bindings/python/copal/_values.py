"""Codes, Content-Formats, options and parameters as Python sees them."""

from __future__ import annotations

import math
from typing import Union

from . import _copal

CodeLike = Union["Code", int, str]
FormatLike = Union["Format", int, str]


class Code(int):
    """A code of CoAP: ``Code(69)``, ``Code("2.05")``, ``Code("GET")``.

    Prints as ``2.05 Content``; is an int, so ``==`` compares numbers.
    ValueError: none of these.
    """

    __slots__ = ()

    def __new__(cls, value: CodeLike) -> Code:
        if isinstance(value, Code):
            return value
        number = _parse_code(value) if isinstance(value, str) else int(value)
        if not 0 <= number <= 255:
            raise ValueError(f"not a code: {value!r}; use 0 to 255 or 'c.dd'")
        known = _codes[number] if _codes else None
        return known if known is not None else int.__new__(cls, number)

    @property
    def number(self) -> int:
        """The code as a plain int, 69 for 2.05."""
        return int(self)

    @property
    def cls(self) -> int:
        """The class, 2 for 2.05."""
        return self >> 5

    @property
    def detail(self) -> int:
        """The detail, 5 for 2.05."""
        return self & 31

    @property
    def dotted(self) -> str:
        """``2.05``."""
        return f"{self >> 5}.{self & 31:02}"

    @property
    def is_successful(self) -> bool:
        """Whether it is of class 2."""
        return self >> 5 == 2

    def __str__(self) -> str:
        return _copal.name(_copal.CODES, int(self)) or self.dotted

    def __repr__(self) -> str:
        return f"<copal.Code {self}>"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec) if not spec or spec[-1] in "s<>^0123456789" else int.__format__(self, spec)


def _parse_code(text: str) -> int:
    number = _copal.number(_copal.CODES, text)
    if number < 0:
        raise ValueError(f"not a code: {text!r}; use a name such as 'GET', or 'c.dd'")
    return number


_codes: list[Code] = []
_codes = code_objects = [Code(i) for i in range(256)]


class Format(int):
    """A Content-Format: ``Format(60)``, ``Format("cbor")``,
    ``Format("application/cbor")``; prints as its media type.

    ValueError: none of these.
    """

    __slots__ = ()

    def __new__(cls, value: FormatLike) -> Format:
        if isinstance(value, Format):
            return value
        if isinstance(value, str):
            number = _nicknames.get(value, -1)
            if number < 0:
                number = _copal.number(_copal.FORMATS, value)
        else:
            number = int(value)
        if not 0 <= number <= 65535:
            raise ValueError(f"unknown Content-Format {value!r}; use a number or a media type")
        return int.__new__(cls, number)

    @property
    def number(self) -> int:
        """The format as a plain int."""
        return int(self)

    def __str__(self) -> str:
        return _copal.name(_copal.FORMATS, int(self)) or int.__repr__(self)

    def __repr__(self) -> str:
        return f"<copal.Format {int(self)} {self}>"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec) if not spec or spec[-1] in "s<>^0123456789" else int.__format__(self, spec)


def kind(f: Format) -> str | None:
    """How a payload of this format is read and written: text, links, json,
    cbor, cbor-seq, senml+json, senml+cbor; None: as it is. Those that a content
    coding was applied to ("@deflate") are taken as they are."""
    name = str(f).partition(";")[0]
    if f in (0, 40):
        return "links" if f else "text"
    if "@" in str(f):
        return None
    base = name.removeprefix("application/").replace("sensml+", "senml+")
    if base in ("senml+json", "senml+cbor"):
        return base
    if name.endswith("cbor-seq"):
        return "cbor-seq"
    if name.endswith(("/cbor", "+cbor")):
        return "cbor"
    return "json" if name.endswith(("/json", "+json")) else None


_nicknames = {"link": 40, "bytes": 42}  # besides those that C knows


def option_number(option: int | str, code: int = 0) -> int:
    """The number of an option: ``4``, ``"ETag"``, ``"Uri-Path"``, ``uri_path``. Signals
    have options of their own, that no other message has; code: the message's."""
    if isinstance(option, int):
        return option
    if not isinstance(option, str):
        raise TypeError(f"an option is a number or a name, got {type(option).__name__}")
    if option.isdigit():
        return int(option)
    name = option.replace("_", "-")
    number = _copal.number(_copal.OPTIONS, name)
    if number > 0xFFFF:
        number &= 0xFFFF
        if option_name(number, code).lower() != name.lower():
            number = -1
    if number < 0:
        raise ValueError(f"no option {option!r}; use its number or its name")
    return number


def option_name(number: int, code: int) -> str:
    """Signals, 7.xx, have options of their own: as COPAL_SIGNAL_OPTION() has it."""
    kind = code << 16 if code >= 224 else 0
    return _copal.name(_copal.OPTIONS, kind | number) or str(number)


class Param:
    """A row of the table of parameters."""

    __slots__ = ("name", "number", "default", "where", "what", "is_time")

    def __init__(self, name: str, number: int, default: int, where: str, what: str) -> None:
        self.name, self.number, self.default = name, number, default
        self.where, self.what = where, what
        self.is_time = what.startswith("ms")


PARAMS = {row[0]: Param(*row) for row in _copal.params()}


def param(name: str, value: object) -> tuple[int, int] | None:
    """The number and value for C of a parameter whose times are in seconds;
    None: there is no parameter of that name."""
    p = PARAMS.get(name)
    if p is None:
        return None
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"{name} is a number, got {value!r}")
    return p.number, round(value * 1000) if p.is_time else round(value)


def ms(seconds: float) -> int:
    if not isinstance(seconds, (int, float)) or not 0 <= seconds < 1e12:
        raise ValueError(f"a time is a number of seconds, got {seconds!r}")
    return round(seconds * 1000)
