"""How those whom nobody waits for go on while others are around: as fast as the others do not notice.

This is what LEDBAT (RFC 6817) does for transfers in the background: it takes all that nobody else wants, and yields
when things begin to take longer.
"""

from math import inf

OTHERS_SECONDS = 1.0
"""So long somebody who had a turn is around."""

SHORTEST_PAUSE = 0.0001

_LONGER = 1.5


class Others:
    """Whether somebody is around to whom others should yield.

    Times are seconds of one monotonic clock, passed in.
    """

    def __init__(self) -> None:
        self.at = -inf
        """When one who has little had a turn last."""
        self._last = ""

    def had_turn(self, webhook_id: str, now: float) -> None:
        """One who has little had a turn."""
        self._last, self.at = webhook_id, now

    def has_much(self, webhook_id: str) -> None:
        """It is none of them; if it was thought to be, it was no other but itself."""
        if webhook_id == self._last:
            self.at = -inf

    def around(self, now: float) -> bool:
        """Whether any had a turn within the last ``OTHERS_SECONDS``."""
        return now - self.at <= OTHERS_SECONDS


class Courtesy:
    """Pauses between turns, ``longest_pause`` at most. Times are seconds of one monotonic clock, passed in.

    Pauses settle where the share of turns under strain is what is ``tolerated``.
    """

    def __init__(self, longest_pause: float, tolerated: float = 0.2) -> None:
        self._longest = longest_pause
        self._shorter = _LONGER ** (tolerated / (tolerated - 1))
        self._pause = SHORTEST_PAUSE
        self.next_at = 0.0
        """When the next turn may begin."""

    def wait(self, now: float) -> float:
        """How long the next turn has to wait; zero if it may begin."""
        return max(self.next_at - now, 0.0)

    def had_turn(self, now: float, *, strained: bool) -> None:
        """There was one at ``now``; ``strained``: things take longer than they should."""
        change = _LONGER if strained else self._shorter
        self._pause = min(max(self._pause * change, SHORTEST_PAUSE), self._longest)
        self.next_at = now + self._pause
