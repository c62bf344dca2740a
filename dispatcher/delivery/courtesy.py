"""How those who have much go on while others are around: as fast as the others do not notice.

This is what LEDBAT (RFC 6817) does for transfers in the background: it takes all that nobody else wants, and yields
when things begin to take longer.
"""

OTHERS_SECONDS = 1.0
"""So long somebody who had a turn is around."""

SHORTEST_PAUSE = 0.0001

_LONGER = 1.5
_SHORTER = 0.9


class Courtesy:
    """Pauses between turns, ``longest_pause`` at most. Times are seconds of one monotonic clock, passed in."""

    def __init__(self, longest_pause: float) -> None:
        self._longest = longest_pause
        self._pause = SHORTEST_PAUSE
        self._next = 0.0

    def wait(self, now: float) -> float:
        """How long the next turn of somebody who has much has to wait; zero if it may begin."""
        return max(self._next - now, 0.0)

    def had_turn(self, now: float, *, strained: bool) -> None:
        """There was one at ``now``; ``strained``: things take longer than they should."""
        change = _LONGER if strained else _SHORTER
        self._pause = min(max(self._pause * change, SHORTEST_PAUSE), self._longest)
        self._next = now + self._pause
