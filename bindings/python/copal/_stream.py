"""Bodies piece by piece: files, iterators and async iterators on their way out,
files and functions on their way in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import _copal
from ._errors import Error

if TYPE_CHECKING:
    from ._endpoint import Endpoint


def is_stream(body: object) -> bool:
    """Whether a body is read piece by piece."""
    return hasattr(body, "read") or isinstance(body, (Iterator, AsyncIterator))


def write_piece(sink: Any, piece: bytes) -> None:
    """Hands a piece to a file or function."""
    if sink is not None:
        getattr(sink, "write", sink)(piece)


def _checked(piece: Any) -> bytes:
    if isinstance(piece, str):
        raise TypeError("a body is made of bytes, got str; open the file in binary mode")
    if isinstance(piece, int):
        raise TypeError("a body is made of bytes, got int")
    return bytes(piece)


class Source:
    """A body on its way out. One piece is asked for at a time."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self._rest = b""  # read, not yet asked for
        self._start: int | None = None
        self._ended = False
        self.is_done = False  # the last piece was written
        if hasattr(body, "read") and getattr(body, "seekable", lambda: False)():
            self._start = body.tell()

    def pull(
        self, coap: Endpoint, x: _copal.Exchange, offset: int, want: int, failed: Callable[[BaseException], object]
    ) -> None:
        """Writes the piece of want bytes at offset, now or later; what goes
        wrong goes to failed."""
        try:
            if isinstance(self._body, AsyncIterator):
                coap._spawn(self._pull_async(x, want, failed))
            else:
                self._write(x, *self._read(offset, want))
        except Exception as e:
            failed(e)

    def _write(self, x: _copal.Exchange, piece: bytes, last: bool) -> None:
        try:
            self.is_done = last
            _copal.write(x, piece, int(last))
        except Error as e:
            if e.name != "ESTATE":  # else: the other side has left
                raise

    def _read(self, offset: int, want: int) -> tuple[bytes, bool]:
        if self._start is not None:
            self._body.seek(self._start + offset)
            piece = _checked(self._body.read(want + 1))
            return piece[:want], len(piece) <= want
        while len(self._rest) <= want and not self._ended:
            if hasattr(self._body, "read"):
                piece = self._body.read(want + 1)
                self._ended = not piece
            else:
                try:
                    piece = next(self._body)
                except StopIteration:
                    piece, self._ended = b"", True
            self._rest += _checked(piece or b"")
        return self._take(want)

    def _take(self, want: int) -> tuple[bytes, bool]:
        piece, self._rest = self._rest[:want], self._rest[want:]
        return piece, self._ended and not self._rest

    async def _pull_async(self, x: _copal.Exchange, want: int, failed: Callable[[BaseException], object]) -> None:
        try:
            while len(self._rest) <= want and not self._ended:
                try:
                    self._rest += _checked(await anext(self._body))
                except StopAsyncIteration:
                    self._ended = True
            self._write(x, *self._take(want))
        except Exception as e:
            failed(e)
