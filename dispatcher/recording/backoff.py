"""How long to wait before ClickHouse is asked again."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubling waits with jitter, in seconds; ``random`` returns a number from 0 up to 1."""

    random: Callable[[], float]
    first: float = 0.2
    longest: float = 10.0

    def after(self, failures: int) -> float:
        """The wait after so many failures in a row, 1 or more: half of it is certain and half of it chance."""
        wait = min(self.longest, self.first * 2.0 ** min(failures - 1, 30))
        return wait / 2 + wait / 2 * self.random()
