"""A report about deliveries in a period: which questions it asks, and what their answers come to."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from dispatcher.errors import ClickHouseUnavailable
from dispatcher.recording.clickhouse import ClickHouse, QueryFailed
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

OVER_TIME, BEFORE, BY_HOUR = "over_time", "totals_before", "by_hour_of_day"
"""The parts of a report beside the questions that are lists; without the first there are no totals either."""

_PARTS = (OVER_TIME, BEFORE, BY_HOUR, *(question.name for question in _ASKED))

QUESTIONS = len(_PARTS)
"""How many a report asks."""


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
    """Everything that is shown; ``answers`` are rows by the name of the question. None: not answered.

    ``unanswered`` has why, by the name that the part has in JSON, in the order in which the parts are shown.
    """

    subject: Subject
    period: Period
    totals: Totals | None
    before: Totals | None
    over_time: tuple[Column, ...] | None
    by_hour_of_day: tuple[int, ...] | None
    answers: Mapping[str, Sequence[Row] | None]
    unanswered: Mapping[str, str] = field(default_factory=dict)

    @property
    def tried_again(self) -> tuple[int, int] | None:
        """Messages that needed more than one attempt, and all, without those that somebody sent again."""
        rows = self.answers[questions.ATTEMPTS_NEEDED.name]
        if rows is None:
            return None
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
            "totals": None if self.totals is None else self.totals.as_json(),
            BEFORE: None
            if self.before is None
            else {"from": rfc3339(self.period.before.start), **self.before.as_json()},
            OVER_TIME: None
            if self.over_time is None
            else [
                {"start": rfc3339(each.start), "successful": each.successful, "failed": each.failed}
                for each in self.over_time
            ],
            BY_HOUR: None if self.by_hour_of_day is None else list(self.by_hour_of_day),
            **{name: None if rows is None else [dict(row) for row in rows] for name, rows in self.answers.items()},
            "unanswered": dict(self.unanswered),
        }


async def make_report(clickhouse: ClickHouse, subject: Subject, period: Period, *, limit: int) -> Report:
    """Ask everything; lists have ``limit`` rows at most. What takes too long, or is refused, is left out.

    Raises:
        ClickHouseUnavailable: nothing is answered.
        QueryFailed: ClickHouse refuses to answer anything.
    """
    failures: dict[str, ClickHouseUnavailable | QueryFailed] = {}

    async def ask(
        part: str, question: Question, within: Period = period, rows: int = limit
    ) -> list[dict[str, Any]] | None:
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
        try:
            return await clickhouse.query(sql, asked)
        except (ClickHouseUnavailable, QueryFailed) as error:
            failures[part] = error
            return None

    over_time, before, by_hour, *answers = await asyncio.gather(
        ask(OVER_TIME, questions.MESSAGES_OVER_TIME),
        ask(BEFORE, questions.MESSAGES_OVER_TIME, period.before),
        ask(BY_HOUR, questions.BUSIEST_HOURS, rows=_HOURS_OF_A_DAY),
        *(ask(question.name, question) for question in _ASKED),
    )
    if len(failures) == QUESTIONS:
        raise next(iter(failures.values()))
    return Report(
        subject=subject,
        period=period,
        totals=None if over_time is None else Totals.of(over_time),
        before=None if before is None else Totals.of(before),
        over_time=None if over_time is None else _columns(period, over_time),
        by_hour_of_day=None if by_hour is None else _hours(by_hour),
        answers={question.name: rows for question, rows in zip(_ASKED, answers, strict=True)},
        unanswered={part: str(failures[part]) for part in _PARTS if part in failures},
    )


def _columns(period: Period, rows: Sequence[Row]) -> tuple[Column, ...]:
    counted = {row["start"]: row for row in rows}
    return tuple(_column(start, counted.get(int(start.timestamp()))) for start in period.steps())


def _hours(rows: Sequence[Row]) -> tuple[int, ...]:
    counted = {row["hour_of_day"]: row["messages"] for row in rows}
    return tuple(int(counted.get(hour, 0)) for hour in range(_HOURS_OF_A_DAY))


def _column(start: datetime, row: Row | None) -> Column:
    return Column(start, 0, 0) if row is None else Column(start, row["successes"], row["failures"])


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)
