"""Parked records whose lane has no room: after a while some go to the end, so that those behind them get a look in.

Moving them costs less than a call, but not nothing.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

BLOCKED_SECONDS = 0.4
AT_ONCE = 50

P = TypeVar("P", bound=Hashable)


class Passing(Generic[P]):
    """What blocks the partitions ``P``. Times are seconds of a monotonic clock, passed in."""

    def __init__(self) -> None:
        self._blocked: dict[P, tuple[float, int]] = {}

    def may_pass(self, partition: P, now: float) -> bool:
        """Whether the first record of a partition, which has no room ``now``, goes to its end."""
        since, passed = self._blocked.setdefault(partition, (now, 0))
        if now - since < BLOCKED_SECONDS:
            return False
        if passed >= AT_ONCE:
            self._blocked[partition] = (now, 0)
            return False
        self._blocked[partition] = (since, passed + 1)
        return True

    def due(self, partition: P, now: float) -> bool:
        """Whether some of a partition may pass ``now``."""
        since, _ = self._blocked.get(partition, (now, 0))
        return now - since >= BLOCKED_SECONDS

    def clear(self) -> None:
        """Forget all partitions."""
        self._blocked.clear()
