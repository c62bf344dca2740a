"""Lists that are shown in pages with numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NumberedPage:
    """A page of a list, counted from 1, and the last that there is; an empty list has one."""

    number: int
    last: int
    size: int

    @classmethod
    def of(cls, wanted: int, entries: int, size: int) -> Self:
        """The page that somebody ``wanted``, the last where there are fewer."""
        last = max(1, -(-entries // size))
        return cls(min(wanted, last), last, size)

    def part(self, entries: Sequence[T]) -> Sequence[T]:
        """What is on it."""
        return entries[(self.number - 1) * self.size : self.number * self.size]
