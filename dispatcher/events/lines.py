"""Bytes as they arrive → the lines of a JSON Lines file, none of which may grow without bounds."""

from collections.abc import Iterator
from dataclasses import dataclass

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank: its number, from 1, and its content; None when it was longer than allowed."""

    number: int
    content: bytes | None


class LineSplitter:
    """Takes bytes in pieces of any size, and gives each line when its end has arrived."""

    def __init__(self, longest: int) -> None:
        """``longest`` is how many bytes a line may have, its end not counted."""
        self._longest = longest
        self._pieces: list[bytes] = []
        self._size = 0
        self._number = 0

    def feed(self, piece: bytes) -> Iterator[Line]:
        """The lines that end in this piece."""
        *ended, rest = piece.split(b"\n")
        for part in ended:
            self._add(part)
            yield from self._end()
        self._add(rest)

    def end(self) -> Iterator[Line]:
        """The last line, if the end of the file ends it."""
        if self._size:
            yield from self._end()

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if part and self._size <= self._longest + 1:  # a carriage return is part of the line's end
            self._pieces.append(part)

    def _end(self) -> Iterator[Line]:
        self._number += 1
        content = b"".join(self._pieces)
        complete = len(content) == self._size
        self._pieces.clear()
        self._size = 0
        if self._number == 1:
            content = content.removeprefix(_BYTE_ORDER_MARK)
        content = content.strip(b" \t\r")
        if not complete or len(content) > self._longest:
            yield Line(self._number, None)
        elif content:
            yield Line(self._number, content)
