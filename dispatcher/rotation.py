"""Whose turn it is, when many want something of which there is one at a time."""

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Rotation(Generic[K]):
    """Gives turns to keys: first to one that has not had any lately, then to all in turn.

    So who wants little is served at once, however many want much. This is how FQ-CoDel (RFC 8290, section 4) chooses
    between flows, with a quantum of one; as there, who had a turn stays in line even when wanting no more, and is new
    again only once that place has come and passed: nobody gains by asking for little often.
    """

    def __init__(self) -> None:
        self._new: deque[K] = deque()
        self._line: deque[K] = deque()
        self.wants: dict[K, bool] = {}
        """For each key in one of the two, whether it wants a turn. Where it is empty nobody does."""

    @property
    def has_newcomer(self) -> bool:
        """Whether one that has had no turn lately wants one."""
        return bool(self._new)

    def want(self, key: K) -> None:
        """Put a key in line; where it wants a turn already this changes nothing."""
        if key not in self.wants:
            self._new.append(key)
        self.wants[key] = True

    def take(self) -> K | None:
        """The key whose turn it is, which then wants no more; None: nobody wants any."""
        while self._new or self._line:
            key = self._new.popleft() if self._new else self._line.popleft()
            if self.wants[key]:
                self.wants[key] = False
                self._line.append(key)
                return key
            del self.wants[key]
        return None

    def clear(self) -> None:
        """Forget everybody."""
        self._new.clear()
        self._line.clear()
        self.wants.clear()
