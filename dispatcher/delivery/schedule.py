"""When a message is tried again: the retry schedule, and the delay topic that each wait goes through."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Retry:
    """The attempt that follows a failed one."""

    attempt: int
    delay: timedelta


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """One entry for each attempt; every entry but the first counts from the failure of the attempt before.

    Raises:
        ValueError: the list is empty, too long, does not start with zero, or has a later entry of zero.
    """

    delays: tuple[timedelta, ...]

    def __post_init__(self) -> None:
        if not self.delays or self.delays[0]:
            raise ValueError("retry.schedule starts with 0s: the first entry is the sending itself")
        if any(delay <= timedelta() for delay in self.delays[1:]):
            raise ValueError("every entry of retry.schedule after the first is longer than 0s")
        if len(self.delays) > 255:
            raise ValueError("retry.schedule has at most 255 entries")

    @property
    def attempts(self) -> int:
        """How often a message is tried before it has failed."""
        return len(self.delays)

    @property
    def waits(self) -> tuple[timedelta, ...]:
        """The different delays, shortest first: one delay topic each."""
        return tuple(sorted(set(self.delays[1:])))

    def after_failure(self, attempt: int, retry_after: timedelta | None = None) -> Retry | None:
        """What follows when ``attempt`` (1, 2, …) failed; None when the schedule is exhausted.

        ``retry_after``, what the target asked for, is rounded up to one of the delays and never shortens a wait.
        """
        if attempt >= self.attempts:
            return None
        delay = self.delays[attempt]
        if retry_after is not None and retry_after > delay:
            delay = next((wait for wait in self.waits if wait >= retry_after), self.waits[-1])
        return Retry(attempt + 1, delay)
