"""Turns: what waits to be matched, one of each organization after the other, who wants little first.

Events of many organizations share a partition of a topic. Whoever floods it makes the others wait until its events have
been read, but no longer until they have been matched.
"""

from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from dispatcher.rotation import Rotation

T = TypeVar("T")


class Turns(Generic[T]):
    """A queue that gives each key a turn for its first entry; it has the methods of a ``deque`` that queues need.

    ``size_of`` an entry is in bytes.
    """

    def __init__(self, key_of: Callable[[T], Hashable], size_of: Callable[[T], int]) -> None:
        self._key_of = key_of
        self._size_of = size_of
        self._waiting: dict[Hashable, deque[T]] = {}
        self._turns: Rotation[Hashable] = Rotation()
        self._length = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._length

    @property
    def bytes(self) -> int:
        """What its entries come to."""
        return self._bytes

    @property
    def has_newcomer(self) -> bool:
        """Whether the next turn is that of a key which has had none lately."""
        return self._turns.has_newcomer

    def append(self, entry: T) -> None:
        """Put an entry behind the others of its key."""
        key = self._key_of(entry)
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = deque()
        waiting.append(entry)
        self._turns.want(key)
        self._length += 1
        self._bytes += self._size_of(entry)

    def popleft(self) -> T:
        """Take out the first entry of the key whose turn it is.

        Raises:
            IndexError: it is empty.
        """
        if not self._length:
            raise IndexError("nothing waits")
        key = self._turns.take()
        waiting = self._waiting[key]
        entry = waiting.popleft()
        if waiting:
            self._turns.want(key)
        else:
            del self._waiting[key]
        self._length -= 1
        self._bytes -= self._size_of(entry)
        return entry

    def clear(self) -> None:
        """Forget everything."""
        self._waiting.clear()
        self._turns.clear()
        self._length = self._bytes = 0
