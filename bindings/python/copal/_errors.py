"""What goes wrong, as exceptions. A 4.xx or 5.xx is a response, not one of
these; Message.check() makes it one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _copal

if TYPE_CHECKING:
    from ._message import Message

NUMBERS = _copal.errors()


class Error(Exception):
    """Base of everything copal raises about the network and its own state.

    str() is a sentence: what, where, what to do.
    """

    name: str
    """``ETIMEOUT`` and so on, stable; ``4.04`` when made by check()."""
    code: int
    """The number C knows it by, negative; the code's when made by check()."""
    hint: str
    """What to do about it, where the sentence says so."""
    _is_of_asker = False  # thrown to a handler whose asker has left
    response: Message | None
    """The response that check() refused, else None."""

    def __init__(self, name: str = "EIO", message: str | None = None, response: Message | None = None) -> None:
        number = NUMBERS.get(name, 0)
        text = message or _copal.strerror(number) or name
        super().__init__(text)
        self.name, self.code, self.response = name, number, response
        self.hint = _hint(text)

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else self.name

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.name, str(self))


def _hint(text: str) -> str:
    for mark in ("; ", ": "):
        if mark in text:
            return text.rsplit(mark, 1)[1]
    return text


class Timeout(Error, TimeoutError):
    """No answer in time (ETIMEOUT)."""


class Closed(Error, ConnectionError):
    """The endpoint or connection was closed (ECLOSED)."""


class Refused(Error, ConnectionRefusedError):
    """Nothing listens at that address (EREFUSED)."""


class Reset(Error, ConnectionResetError):
    """The peer rejected the message (ERESET)."""


class Cancelled(Error):
    """Cancelled here (ECANCEL)."""


class Invalid(Error, ValueError):
    """An argument out of range (EINVAL), or malformed bytes (EFORMAT)."""


class BadURI(Invalid):
    """A URI that is not understood (EURI)."""


class NetworkError(Error, OSError):
    """EIO, EUNREACH, ERESOLVE or EINUSE."""


class NotPermitted(Error, PermissionError):
    """The system does not permit it (EPERM)."""


class NotSupported(Error, NotImplementedError):
    """Not built in (ENOTSUP)."""


class OutOfMemory(Error, MemoryError):
    """Out of memory (ENOMEM)."""


class ResponseError(Error):
    """A 4.xx or 5.xx that check() refused; ``response`` has it."""


_classes: dict[str, type[Error]] = {
    "ENOMEM": OutOfMemory,
    "EINVAL": Invalid,
    "EURI": BadURI,
    "EFORMAT": Invalid,
    "ETIMEOUT": Timeout,
    "ERESET": Reset,
    "ECANCEL": Cancelled,
    "ECLOSED": Closed,
    "ERESOLVE": NetworkError,
    "EIO": NetworkError,
    "ENOTSUP": NotSupported,
    "EREFUSED": Refused,
    "EUNREACH": NetworkError,
    "EINUSE": NetworkError,
    "EPERM": NotPermitted,
}


def failure(name: str, text: str | None = None) -> Error:
    """The exception for one of C's errors."""
    return _classes.get(name, Error)(name, text)
