"""A report about deliveries in a period: which questions it asks, and what their answers come to."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.reports import questions
from dispatcher.reports.questions import Question
from dispatcher.rfc3339 import rfc3339

Row = Mapping[str, Any]

ATTEMPTS_KEPT = timedelta(days=28)
MESSAGES_KEPT = timedelta(days=13 * 30)

_BY_THE_HOUR = timedelta(days=3)
_HOURS_OF_A_DAY = 24

_ASKED = (
    questions.SUCCESS_BY_ORGANIZATION,
    questions.DURATIONS,
    questions.SLOWEST_TARGETS,
    questions.FAILURES_BY_REASON,
    questions.WORSE_WEBHOOKS,
    questions.ATTEMPTS_NEEDED,
    questions.TIME_TO_SUCCESS,
)


@dataclass(frozen=True, slots=True)
class Period:
    """From one moment to another, in UTC; it begins with an hour, so that no hour counts by half."""

    start: datetime
    end: datetime

    @classmethod
    def since(cls, now: datetime, length: timedelta) -> "Period":
        """The time up to now, the hour included in which it would begin."""
        return cls((now - length).astimezone(UTC).replace(minute=0, second=0, microsecond=0), now)

    @property
    def before(self) -> "Period":
        """As long a time before it."""
        hours = -((self.start - self.end) // timedelta(hours=1))
        return Period(self.start - timedelta(hours=hours), self.start)

    @property
    def step(self) -> timedelta:
        """How long a column of its plot is: an hour, or a day."""
        return timedelta(hours=1) if self.end - self.start <= _BY_THE_HOUR else timedelta(days=1)

    def steps(self) -> list[datetime]:
        """The beginning of each column."""
        first = self.start if self.step < timedelta(days=1) else self.start.replace(hour=0)
        return [first + number * self.step for number in range(-((first - self.end) // self.step))]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is about: everything, an organization, or a webhook."""

    organization: str | None = None
    webhook: str | None = None

    @property
    def condition(self) -> str:
        """More SQL for a WHERE."""
        named = {"organization_id": self.organization, "webhook_id": self.webhook}
        return "".join(f" AND {column} = {{{column}:String}}" for column, value in named.items() if value is not None)

    def __str__(self) -> str:
        named = (("organization", self.organization), ("webhook", self.webhook))
        return ", ".join(f"{what} {value}" for what, value in named if value is not None) or "all organizations"


@dataclass(frozen=True, slots=True)
class Totals:
    """Messages that ended in a period."""

    successful: int
    failed: int

    @property
    def messages(self) -> int:
        """All of them."""
        return self.successful + self.failed

    @property
    def rate(self) -> float | None:
        """The success rate, between 0 and 1; None where there is none."""
        return self.successful / self.messages if self.messages else None

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Totals":
        """The sum of what was counted by time."""
        return cls(sum(row["successes"] for row in rows), sum(row["failures"] for row in rows))

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {"messages": self.messages, "successful": self.successful, "failed": self.failed, "rate": self.rate}


@dataclass(frozen=True, slots=True)
class Column:
    """Messages that ended in an hour or a day."""

    start: datetime
    successful: int
    failed: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is shown; ``answers`` are rows by the name of the question."""

    subject: Subject
    period: Period
    totals: Totals
    before: Totals
    over_time: tuple[Column, ...]
    by_hour_of_day: tuple[int, ...]
    answers: Mapping[str, Sequence[Row]]

    @property
    def tried_again(self) -> tuple[int, int]:
        """Messages that needed more than one attempt, and all, without those that somebody sent again."""
        rows = self.answers[questions.ATTEMPTS_NEEDED.name]
        return (
            sum(row["all_messages"] for row in rows if row["attempts_made"] > 1),
            sum(row["all_messages"] for row in rows),
        )

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "organization_id": self.subject.organization,
            "webhook_id": self.subject.webhook,
            "from": rfc3339(self.period.start),
            "until": rfc3339(self.period.end),
            "totals": self.totals.as_json(),
            "totals_before": {"from": rfc3339(self.period.before.start), **self.before.as_json()},
            "over_time": [
                {"start": rfc3339(each.start), "successful": each.successful, "failed": each.failed}
                for each in self.over_time
            ],
            "by_hour_of_day": list(self.by_hour_of_day),
            **{name: [dict(row) for row in rows] for name, rows in self.answers.items()},
        }


async def make_report(clickhouse: ClickHouse, subject: Subject, period: Period, *, limit: int) -> Report:
    """Ask everything; lists have ``limit`` rows at most.

    Raises:
        ClickHouseUnavailable: nothing answers.
        QueryFailed: ClickHouse refuses to.
    """

    async def ask(question: Question, within: Period = period, rows: int = limit) -> list[dict[str, Any]]:
        bucket = "toStartOfHour(h.hour)" if period.step < timedelta(days=1) else "toStartOfDay(h.hour)"
        sql = question.sql(
            {
                "from": "fromUnixTimestamp64Milli({from:Int64}, 'UTC')",
                "until": "fromUnixTimestamp64Milli({until:Int64}, 'UTC')",
                "before": "fromUnixTimestamp64Milli({before:Int64}, 'UTC')",
                "only": subject.condition,
                "limit": str(rows),
                "bucket": f"toUnixTimestamp({bucket})",
                "start": "start",
            }
        )
        parameters = {
            "from": _milliseconds(within.start),
            "until": _milliseconds(within.end),
            "before": _milliseconds(within.before.start),
            "organization_id": subject.organization,
            "webhook_id": subject.webhook,
        }
        asked = {name: value for name, value in parameters.items() if value is not None and f"{{{name}:" in sql}
        return await clickhouse.query(sql, asked)

    over_time, before, by_hour, *answers = await asyncio.gather(
        ask(questions.MESSAGES_OVER_TIME),
        ask(questions.MESSAGES_OVER_TIME, period.before),
        ask(questions.BUSIEST_HOURS, rows=_HOURS_OF_A_DAY),
        *(ask(question) for question in _ASKED),
    )
    counted = {row["start"]: row for row in over_time}
    of_hours = {row["hour_of_day"]: row["messages"] for row in by_hour}
    return Report(
        subject=subject,
        period=period,
        totals=Totals.of(over_time),
        before=Totals.of(before),
        over_time=tuple(_column(start, counted.get(int(start.timestamp()))) for start in period.steps()),
        by_hour_of_day=tuple(int(of_hours.get(hour, 0)) for hour in range(_HOURS_OF_A_DAY)),
        answers={question.name: rows for question, rows in zip(_ASKED, answers, strict=True)},
    )


def _column(start: datetime, row: Row | None) -> Column:
    return Column(start, 0, 0) if row is None else Column(start, row["successes"], row["failures"])


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)
