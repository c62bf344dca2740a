"""The broker's clock, as far as a client can know it: it does not jump when the machine's clock does."""

import time
from collections.abc import Callable
from functools import partial

_WINDOW_MS = 30_000


# Unlike time.monotonic() it goes on while the machine sleeps, as the broker's clock does: on Linux it has a name of its
# own, on macOS the system's monotonic clock is of that kind and Python's is not.
_uptime = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class BrokerClock:
    """Milliseconds since the epoch, counted monotonically from the machine's time at the start.

    Each acknowledged record carries the time at which the broker stored it, so the broker's clock was at least there
    when the acknowledgement came, and at most there when the record was sent. The largest lower bound within half a
    minute corrects the count, and so does every upper bound.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = _uptime) -> None:
        self._monotonic = monotonic
        self._offset = round((wall() - monotonic()) * 1000)
        self._best: int | None = None
        self._window_ends = 0

    @property
    def confirmed(self) -> bool:
        """Whether the broker has been heard; before, the time is the machine's."""
        return self._best is not None

    def now(self) -> int:
        """The time now."""
        return self.elapsed() + self._offset

    def elapsed(self) -> int:
        """Milliseconds since some moment in the past, of the count that no correction changes."""
        return round(self._monotonic() * 1000)

    def learn(self, stamped: int, sent: int | None = None) -> None:
        """A record that was just acknowledged carries this time; ``sent`` is ``elapsed`` from before it was sent."""
        monotonic = self.elapsed()
        difference = stamped - monotonic
        if self._best is None or monotonic >= self._window_ends:
            if self._best is not None:
                self._offset = self._best
            self._best = difference
            self._window_ends = monotonic + _WINDOW_MS
        self._best = max(self._best, difference)
        self._offset = max(self._offset, difference)
        if sent is not None:
            most = stamped - sent
            self._best = min(self._best, most)
            if self._offset > most:
                # It is somewhere between the two: rather a little late than early.
                self._offset = self._best

    def at_least(self, stamped: int) -> None:
        """A record that was read carries this time: it is that late, or later."""
        self._offset = max(self._offset, stamped - self.elapsed())
