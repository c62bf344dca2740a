"""Admission: which of the attempts that wait begin now.

Those of targets that answer soon and well come first. Those of slow targets, of webhooks with much at once, and of
targets that only fail have the rest of a round, and one each however little is left; while others are around, they
yield.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Generic, TypeVar

from dispatcher.delivery.courtesy import OTHERS_SECONDS, Courtesy
from dispatcher.delivery.lanes import Lanes, Waiting

LONGEST_PAUSE = 0.005
"""Between two attempts of those who yield: of each of the three at worst 200 a second."""

_TOLERATED_OF_BAD_TARGETS = 0.07

W = TypeVar("W", bound=Waiting)


class Admission(Generic[W]):
    """Takes attempts out of ``lanes``. Times are seconds of one monotonic clock, passed in."""

    def __init__(self, lanes: Lanes[W]) -> None:
        self._lanes = lanes
        self._yielding = (
            (lanes.take_slow, Courtesy(LONGEST_PAUSE, _TOLERATED_OF_BAD_TARGETS)),
            (lanes.take_bulk, Courtesy(LONGEST_PAUSE)),
            (lanes.take_failing, Courtesy(LONGEST_PAUSE, _TOLERATED_OF_BAD_TARGETS)),
        )

    def admit(self, now: float, room: int, *, strained: bool) -> Iterator[W]:
        """The attempts that begin in a round with ``room``; ``strained``: rounds take longer than they should."""
        admitted = 0
        for work in islice(self._lanes.take(now), room):
            admitted += 1
            yield work
        alone = self._alone(now)
        for take, courtesy in self._yielding:
            before = admitted
            for work in islice(take(now), max(room - admitted, 1) if alone else int(not courtesy.wait(now))):
                admitted += 1
                yield work
            if admitted > before:
                courtesy.had_turn(now, strained=strained)

    def next_in(self, now: float) -> float | None:
        """In how many seconds something may begin that may not now, though nothing ends or comes; None: nothing."""
        waits = [] if self._lanes.next_turn is None else [self._lanes.next_turn - now]
        if not self._alone(now):
            waits += [wait for _, courtesy in self._yielding if (wait := courtesy.wait(now))]
        return min(waits, default=None)

    def _alone(self, now: float) -> bool:
        return now - self._lanes.others_at > OTHERS_SECONDS
