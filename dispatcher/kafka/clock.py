"""The broker's clock, as far as a client can know it: it does not jump when the machine's clock does."""

import time
from collections.abc import Callable

_WINDOW_MS = 30_000


class BrokerClock:
    """Milliseconds since the epoch, counted monotonically from the machine's time at the start.

    Each acknowledged record carries the time at which the broker stored it, so the broker's clock was at least there
    when the acknowledgement came. The largest such difference within half a minute corrects the count.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._offset = round((wall() - monotonic()) * 1000)
        self._best: int | None = None
        self._window_ends = 0

    def now(self) -> int:
        """The time now."""
        return round(self._monotonic() * 1000) + self._offset

    def learn(self, stamped: int) -> None:
        """A record that was just acknowledged carries this time."""
        monotonic = round(self._monotonic() * 1000)
        difference = stamped - monotonic
        if self._best is None or monotonic >= self._window_ends:
            if self._best is not None:
                self._offset = self._best
            self._best = difference
            self._window_ends = monotonic + _WINDOW_MS
        self._best = max(self._best, difference)
        self._offset = max(self._offset, difference)
