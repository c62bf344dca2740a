"""What waits in one partition of a retry topic, in the order in which it comes due."""

from collections import deque
from typing import Generic, TypeVar

R = TypeVar("R")


class WaitingRecords(Generic[R]):
    """Records that were read and are not due yet. Times are milliseconds.

    The broker stamps the records of a partition in the order in which it stores them, and all of them wait equally
    long: the first that was read is the first that comes due.
    """

    def __init__(self, delay: int) -> None:
        self._delay = delay
        self._records: deque[tuple[int, R]] = deque()

    def __len__(self) -> int:
        return len(self._records)

    def add(self, stamped: int, record: R) -> None:
        """Let a record wait that the broker stamped at that time."""
        self._records.append((stamped + self._delay, record))

    @property
    def next_due(self) -> int | None:
        """When the first record comes due."""
        return self._records[0][0] if self._records else None

    def take_due(self, now: int) -> list[tuple[int, R]]:
        """Take out what is due at ``now``, each with the time at which it came due."""
        due: list[tuple[int, R]] = []
        while self._records and self._records[0][0] <= now:
            due.append(self._records.popleft())
        return due
