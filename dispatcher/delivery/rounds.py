"""How many attempts begin in one round of the event loop.

The loop serves everybody in turn: when it is busy, a healthy target waits for everything else that one round of it
does.
"""

SECONDS = 0.001
"""So long a round should be."""

AT_ONCE = 16
WHILE_BEHIND = 2
"""While more is there than has been read, reading goes first: who wants little may stand behind who wants much."""


class Rounds:
    """Half as many after a long round, one more after a short one. Times are of a monotonic clock, passed in."""

    def __init__(self) -> None:
        self._at_once = AT_ONCE
        self._last = 0.0

    def begin(self, now: float, *, behind: bool) -> int:
        """A round begins ``now``: how many attempts may begin in it, at least one."""
        longer = now - self._last > SECONDS
        self._at_once = max(self._at_once // 2, 1) if longer else min(self._at_once + 1, AT_ONCE)
        self._last = now
        return min(self._at_once, WHILE_BEHIND) if behind else self._at_once
