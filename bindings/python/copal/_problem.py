"""Concise problem details (RFC 9290): what went wrong, for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Union

from . import _copal, cbor
from ._errors import Invalid, failure
from ._values import Code, CodeLike

FORMAT = 257
_TAG_LANGUAGE = 38
_RESPONSE_CODE, _BASE_DIRECTION, _OPTIONS = -4, -7, -8
_TEXTS = {"title": -1, "detail": -2}
_PLAIN = {"instance": -3, "base_uri": -5, "base_lang": -6}
_DIRECTIONS = {"ltr": False, "rtl": True}


@dataclasses.dataclass
class Problem:
    """What went wrong: ``Problem("too hot", detail="40 at most")``. str() is the
    title and the detail. A direction is ``"ltr"`` or ``"rtl"``."""

    title: str | None = None
    """The kind of problem."""
    detail: str | None = None
    """This one, and how to mend it."""
    instance: str | None = None
    """The URI reference of this one."""
    response_code: CodeLike | None = None
    """The answer's code, where it is kept without the answer."""
    base_uri: str | None = None
    """What instance is relative to."""
    base_lang: str | None = None
    """The language of texts without their own."""
    base_direction: str | None = None
    """The direction of texts without their own."""
    title_lang: str | None = None
    title_direction: str | None = None
    detail_lang: str | None = None
    detail_direction: str | None = None
    options: Sequence[int] | None = None
    """Numbers of the options that were not processed."""
    entries: dict[int | str, Any] = dataclasses.field(default_factory=dict)
    """All others, by number or URI: dicts; of negative numbers any value."""

    def __str__(self) -> str:
        texts = [t for t in (self.title, self.detail) if t is not None]
        return ": ".join(texts) or self.instance or "a problem without title"


ProblemLike = Union[Problem, Mapping[str, Any], str]


def _direction(value: object) -> str | None:
    return None if value is None else "rtl" if value else "ltr"


def read(m: _copal.Message) -> Problem | None:
    """The problem in a message, None: it is something else, or malformed."""
    if _copal.msg_format(m) != FORMAT:
        return None
    try:
        _copal.msg_check_problem(m)
        found: dict[int | str, Any] = cbor.loads(_copal.msg_payload(m))
    except Invalid:
        return None
    p = Problem()
    for name, key in _TEXTS.items():
        value = found.pop(key, None)
        if isinstance(value, cbor.Tag):
            language, value, *direction = value.value
            setattr(p, name + "_lang", language)
            setattr(p, name + "_direction", _direction(*direction) if direction else None)
        setattr(p, name, value)
    for name, key in _PLAIN.items():
        setattr(p, name, found.pop(key, None))
    code = found.pop(_RESPONSE_CODE, None)
    p.response_code = None if code is None else Code(code)
    p.base_direction = _direction(found.pop(_BASE_DIRECTION, None))
    options = found.pop(_OPTIONS, None)
    p.options = [options] if isinstance(options, int) else options
    p.entries = found
    return p


def _is_rtl(value: str) -> bool:
    if value not in _DIRECTIONS:
        raise failure("EINVAL", f"problem: a direction is 'ltr' or 'rtl', got {value!r}")
    return _DIRECTIONS[value]


def _text_item(p: Problem, name: str) -> Any:
    text, language = getattr(p, name), getattr(p, name + "_lang")
    if language is None:
        return text
    direction = getattr(p, name + "_direction")
    return cbor.Tag((_TAG_LANGUAGE, [language, text] + ([] if direction is None else [_is_rtl(direction)])))


def _made_of(value: ProblemLike) -> Problem:
    if isinstance(value, Problem):
        return value
    if isinstance(value, str):
        return Problem(value)
    if not isinstance(value, Mapping):
        raise TypeError(f"a problem is a copal.Problem, a dict or a title, got {type(value).__name__}")
    unknown = set(value) - {f.name for f in dataclasses.fields(Problem)}
    if unknown:
        raise TypeError(f"a problem has no {sorted(map(str, unknown))[0]}; put it into entries")
    return Problem(**value)


def write(m: _copal.Message, value: ProblemLike) -> None:
    """Makes it the payload of a message. Invalid (EINVAL): nothing in it, or
    not as RFC 9290 has it; then the payload stays what it was."""
    p = _made_of(value)
    before = _copal.msg_format(m), _copal.msg_payload(m)
    found: dict[int | str, Any] = dict(p.entries)
    for name, key in _TEXTS.items():
        if getattr(p, name) is not None:
            found[key] = _text_item(p, name)
    for name, key in _PLAIN.items():
        if getattr(p, name) is not None:
            found[key] = getattr(p, name)
    if p.response_code is not None:
        found[_RESPONSE_CODE] = int(Code(p.response_code))
        if found[_RESPONSE_CODE] != _copal.msg_code(m):
            raise failure("EINVAL", "problem: its response_code is not the answer's")
    if p.base_direction is not None:
        found[_BASE_DIRECTION] = _is_rtl(p.base_direction)
    if p.options is not None:
        found[_OPTIONS] = p.options[0] if len(p.options) == 1 else list(p.options)
    _copal.msg_set_payload(m, FORMAT, cbor.dumps(found))
    try:
        _copal.msg_check_problem(m)
    except Invalid:
        _copal.msg_set_payload(m, *before)
        raise failure(
            "EINVAL", "problem: give it a title or a detail, languages like 'en', and as entries dicts"
        ) from None
