"""When a webhook has failed for so long that calling it any further is of no use to anybody.

One message that failed for good says little: its target may have been away for a night. What counts is how failures
lie in a window of days: most of its parts have some, hardly an attempt succeeded, and lately none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dispatcher.moments import EPOCH

HOUR = timedelta(hours=1)

PARTS = 10
"""The window is looked at in so many equal parts."""

PARTS_WITH_FAILURES = 8
"""So many of them must have failures: neither a burst nor a night will do, and a quiet day does not save it."""

LATE_PARTS = 2
"""In so many parts at the window's end something must have failed, and nothing succeeded."""

LEAST_ATTEMPTS = 20
"""Fewer say too little, however they ended."""


@dataclass(frozen=True, slots=True)
class HourOfAttempts:
    """How the attempts of an hour (UTC) ended that called the target; ``last_error`` is the latest failure's."""

    start: datetime
    successful: int
    failed: int
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class Failing:
    """What speaks against a webhook."""

    failed: int
    attempts: int
    window: timedelta
    last_error: str

    @property
    def reason(self) -> str:
        """For people: why the webhook is disabled."""
        return (
            f"disabled: {self.failed:,} of {self.attempts:,} attempts failed in the last {_in_words(self.window)}; "
            f"the last error: {self.last_error or 'unknown'}"
        )


@dataclass(frozen=True, slots=True)
class FailingPolicy:
    """``window`` is at least a day; ``rate`` is the share of attempts that failed, above 0 and at most 1."""

    window: timedelta
    rate: float

    def begins(self, now: datetime) -> datetime:
        """The first hour of the window that ends with the hour of ``now``."""
        return _hour(now) + HOUR - self._hours * HOUR

    def lately(self, now: datetime) -> datetime:
        """The first hour of its last parts."""
        hours = range(self._hours)
        return self.begins(now) + next(n for n in hours if self._part(n) >= PARTS - LATE_PARTS) * HOUR

    def is_old_enough(self, updated_on: datetime, now: datetime) -> bool:
        """Whether a webhook is as it is for the whole window: whoever changed it gets as much time again."""
        return updated_on <= now - self.window

    def judge(self, hours: Sequence[HourOfAttempts], now: datetime) -> Failing | None:
        """What speaks against a webhook with these hours, in any order; None while there is hope."""
        begins = self.begins(now)
        inside = [(self._part((hour.start - begins) // HOUR), hour) for hour in hours if begins <= hour.start <= now]
        failed = sum(hour.failed for _, hour in inside)
        attempts = failed + sum(hour.successful for _, hour in inside)
        with_failures = {part for part, hour in inside if hour.failed}
        late = [hour for part, hour in inside if part >= PARTS - LATE_PARTS]
        if (
            attempts < LEAST_ATTEMPTS
            or failed < self.rate * attempts
            or len(with_failures) < PARTS_WITH_FAILURES
            or not any(hour.failed for hour in late)
            or any(hour.successful for hour in late)
        ):
            return None
        latest = max((hour for _, hour in inside if hour.failed), key=lambda hour: hour.start)
        return Failing(failed, attempts, self.window, latest.last_error)

    @property
    def _hours(self) -> int:
        return -(-self.window // HOUR)

    def _part(self, hour: int) -> int:
        return hour * PARTS // self._hours


def _hour(moment: datetime) -> datetime:
    return moment - (moment - EPOCH) % HOUR


def _in_words(window: timedelta) -> str:
    hours = round(window / HOUR)
    return f"{hours // 24} days" if hours % 24 == 0 and hours > 24 else f"{hours} hours"
