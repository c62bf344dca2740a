"""Admission: which of the attempts that wait begin now.

Those of targets that answer soon and well come first. Those of slow targets, of webhooks with much at once, and of
targets that only fail have the rest of a round, and one each however little is left, each of the three first in its
turn; while others are around, they yield.
"""

from collections import deque
from itertools import islice
from typing import Generic, TypeVar

from dispatcher.delivery.courtesy import Courtesy
from dispatcher.delivery.lanes import Lanes, Waiting

# Between two attempts of those who yield: at worst 200, 100 and 66 a second.
LONGEST_PAUSE_OF_MUCH = 0.005
LONGEST_PAUSE_OF_SLOW = 0.010
LONGEST_PAUSE_OF_FAILING = 0.015

_TOLERATED_OF_BAD_TARGETS = 0.07

W = TypeVar("W", bound=Waiting)


class Admission(Generic[W]):
    """Takes attempts out of ``lanes``. Times are seconds of one monotonic clock, passed in."""

    def __init__(self, lanes: Lanes[W]) -> None:
        self._lanes = lanes
        self._yielding = deque(
            (
                (lanes.slow_turns, Courtesy(LONGEST_PAUSE_OF_SLOW, _TOLERATED_OF_BAD_TARGETS)),
                (lanes.much_turns, Courtesy(LONGEST_PAUSE_OF_MUCH)),
                (lanes.failing_turns, Courtesy(LONGEST_PAUSE_OF_FAILING, _TOLERATED_OF_BAD_TARGETS)),
            )
        )

    def admit(self, now: float, room: int, *, strained: bool) -> list[W]:
        """The attempts that begin in a round with ``room``; ``strained``: rounds take longer than they should."""
        admitted = list(islice(self._lanes.take(now), room))
        alone = not self._lanes.others.around(now)
        self._yielding.rotate()
        for turns, courtesy in self._yielding:
            if turns.wants and (alone or courtesy.next_at <= now):
                before = len(admitted)
                admitted += islice(self._lanes.take_from(turns, now), max(room - before, 1) if alone else 1)
                if len(admitted) > before:
                    courtesy.had_turn(now, strained=strained)
        return admitted

    def next_in(self, now: float) -> float | None:
        """In how many seconds something may begin that may not now, though nothing ends or comes; None: nothing."""
        turn = self._lanes.next_turn
        following = [] if turn is None else [turn]
        if self._lanes.others.around(now):
            for turns, courtesy in self._yielding:
                if turns.wants and courtesy.next_at > now:
                    following.append(courtesy.next_at)
        return min(following) - now if following else None
