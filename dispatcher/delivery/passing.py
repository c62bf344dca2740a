"""Parked records whose lane has no room: after a while some go to the end, so that those behind them get a look in.

Moving them costs less than a call, but not nothing. So once a whole partition has gone round and everybody in it had
been seen before, the next round waits twice as long, until somebody else is parked there or somebody behind the first
record has room again.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

BLOCKED_SECONDS = 0.4
LONGEST_BLOCKED_SECONDS = 30.0
AT_ONCE = 50

P = TypeVar("P", bound=Hashable)


@dataclass(slots=True)
class _Blocked:
    since: float
    round_ends: int
    """The offset at which the records begin that were put behind the others in this round."""
    passed: int = 0
    seconds: float = BLOCKED_SECONDS
    first: str = ""
    """The webhook of the first record."""
    seen: set[str] = field(default_factory=set)
    """The webhooks that had no room in this round."""
    seen_before: set[str] = field(default_factory=set)
    """And in the one before."""


class Passing(Generic[P]):
    """What blocks the partitions ``P``. Times are seconds of a monotonic clock, passed in."""

    def __init__(self) -> None:
        self._blocked: dict[P, _Blocked] = {}

    def may_pass(self, partition: P, webhook_id: str, offset: int, end: int, now: float) -> bool:
        """Whether the first record of a partition, for which there is no room ``now``, goes to its end.

        ``end`` is the offset behind the partition's last record, as far as it is known.
        """
        blocked = self._blocked.setdefault(partition, _Blocked(now, end))
        blocked.first = webhook_id
        blocked.seen.add(webhook_id)
        if now - blocked.since < blocked.seconds:
            return False
        if blocked.passed >= AT_ONCE or offset >= blocked.round_ends:
            blocked.since, blocked.passed = now, 0
            if offset >= blocked.round_ends:
                self._next_round(blocked, end)
            return False
        blocked.passed += 1
        return True

    @staticmethod
    def _next_round(blocked: _Blocked, end: int) -> None:
        blocked.round_ends = end
        blocked.seconds = min(2 * blocked.seconds, LONGEST_BLOCKED_SECONDS)
        blocked.seen_before, blocked.seen = blocked.seen, {blocked.first}

    def parked(self, partition: P, webhook_id: str) -> None:
        """A record that was not there before is put to the end of a partition."""
        blocked = self._blocked.get(partition)
        if blocked is not None and webhook_id not in blocked.seen and webhook_id not in blocked.seen_before:
            blocked.seen.add(webhook_id)
            blocked.seconds = BLOCKED_SECONDS

    def due(self, partition: P, now: float, has_room: Callable[[str], bool]) -> bool:
        """Whether some of a partition may pass ``now``; ``has_room`` says for which webhooks there is."""
        blocked = self._blocked.get(partition)
        if blocked is None:
            return False
        behind = (blocked.seen | blocked.seen_before) - {blocked.first}
        if blocked.seconds > BLOCKED_SECONDS and any(map(has_room, behind)):
            blocked.seconds = BLOCKED_SECONDS
        return now - blocked.since >= blocked.seconds

    def clear(self) -> None:
        """Forget all partitions."""
        self._blocked.clear()
