"""How attempts of those who have much follow each other while others are around: as fast as the others do not notice.

This is what LEDBAT (RFC 6817) does for transfers in the background: it takes all that nobody else wants, and yields
when things begin to take longer. Here that is a round of the event loop, which everybody waits for a dozen times.
"""

OTHERS_SECONDS = 1.0
"""So long somebody who had a turn is around."""

ROUND_SECONDS = 0.0002
"""What a round of the event loop should take at most."""

SHORTEST_PAUSE = 0.0001
LONGEST_PAUSE = 0.002
"""Seconds: at worst 500 attempts a second of those who have much."""

_LONGER = 1.5
_SHORTER = 0.9


class Courtesy:
    """Times are seconds of one monotonic clock, passed in."""

    def __init__(self) -> None:
        self._pause = SHORTEST_PAUSE
        self._next = 0.0

    def wait(self, now: float) -> float:
        """How long the next attempt of somebody who has much has to wait; zero if it may begin."""
        return max(self._next - now, 0.0)

    def begun(self, now: float, round_seconds: float) -> None:
        """One begins ``now``, in a round that took so long."""
        change = _LONGER if round_seconds > ROUND_SECONDS else _SHORTER
        self._pause = min(max(self._pause * change, SHORTEST_PAUSE), LONGEST_PAUSE)
        self._next = now + self._pause
