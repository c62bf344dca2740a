"""The lists of a report as rows of text, the same in a terminal and on a page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dispatcher.operations.wording import span
from dispatcher.reports import questions
from dispatcher.reports.questions import Question
from dispatcher.reports.report import BEFORE, BY_HOUR, OVER_TIME, Report, Row

NOT_ANSWERED = "not answered by ClickHouse"

_ARRIVED = {"first attempt": "at the first attempt", "later attempt": "at a later one"}


@dataclass(frozen=True, slots=True)
class Listing:
    """A table: headings, rows, and which columns are numbers; ``shares`` has a bar's length for each row, 0 to 1."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    shares: tuple[float, ...] = ()
    nothing: str = "nothing"

    def is_number(self, column: int) -> bool:
        """Whether a column is aligned to the right."""
        return column >= len(self.headings) - self._numbers

    @property
    def _numbers(self) -> int:
        return next(
            (
                count
                for count, heading in enumerate(reversed(self.headings))
                if heading in {"Organization", "Webhook", "Target", "Reason", "Message"}
            ),
            len(self.headings),
        )


def percent(rate: float | None) -> str:
    """``99.8 %``; never 100 % for less than all, nor 0 % for more than none."""
    if rate is None:
        return "-"
    if rate < 1 and round(rate * 100, 1) == 100:
        return "> 99.9 %"
    if rate > 0 and round(rate * 100, 1) == 0:
        return "< 0.1 %"
    return "100 %" if rate == 1 else f"{rate:.1%}".replace("%", " %")


def milliseconds(number: float) -> str:
    """``82 ms``, ``2.2 s``."""
    return f"{number:.0f} ms" if number < 999.5 else f"{number / 1_000:.1f} s"


def listings(report: Report) -> list[Listing]:
    """All of them, in the order in which they are shown."""
    return [_listing(report, question, make) for question, make in _LISTINGS]


def unanswered(report: Report) -> str:
    """What ClickHouse did not answer, for people; empty where it answered everything."""
    words = {
        OVER_TIME: "messages over time",
        BEFORE: "as long a time before",
        BY_HOUR: "messages by hour of the day",
        questions.DURATIONS.name: "durations",
        **{question.name: make(()).title.partition(",")[0].lower() for question, make in _LISTINGS},
    }
    return ", ".join(words[part] for part in report.unanswered)


def _listing(report: Report, question: Question, make: Callable[[Sequence[Row]], Listing]) -> Listing:
    rows = report.answers[question.name]
    return make(rows) if rows is not None else replace(make(()), nothing=NOT_ANSWERED)


def _organizations(rows: Sequence[Row]) -> Listing:
    return Listing(
        "Success rate by organization, the lowest first",
        ("Organization", "Messages", "Failed", "Success"),
        tuple(
            (
                row["organization_id"],
                f"{row['successes'] + row['failures']:,}",
                f"{row['failures']:,}",
                percent(row["rate"]),
            )
            for row in rows
        ),
        tuple(row["rate"] for row in rows),
    )


def _worse(rows: Sequence[Row]) -> Listing:
    return Listing(
        "Webhooks that got worse",
        ("Organization", "Webhook", "Messages", "Before", "Now"),
        tuple(
            (
                row["organization_id"],
                row["webhook_id"],
                f"{row['messages']:,}",
                percent(row["rate_before"]),
                percent(row["rate_now"]),
            )
            for row in rows
        ),
        nothing="none, against as long a time before",
    )


def _reasons(rows: Sequence[Row]) -> Listing:
    return Listing(
        "Why attempts failed",
        ("Reason", "Webhooks", "Attempts", "Share"),
        tuple((row["reason"], f"{row['webhooks']:,}", f"{row['attempts']:,}", percent(row["share"])) for row in rows),
        tuple(row["share"] for row in rows),
        nothing="none failed",
    )


def _targets(rows: Sequence[Row]) -> Listing:
    slowest = max((row["p95_ms"] for row in rows), default=0) or 1
    return Listing(
        "Slowest targets, of those with ten attempts or more",
        ("Target", "Attempts", "Median", "p95"),
        tuple(
            (row["target_host"], f"{row['attempts']:,}", milliseconds(row["p50_ms"]), milliseconds(row["p95_ms"]))
            for row in rows
        ),
        tuple(row["p95_ms"] / slowest for row in rows),
    )


def _needed(rows: Sequence[Row]) -> Listing:
    return Listing(
        "Attempts that messages needed, of those sent once",
        ("Attempts", "Messages", "Arrived", "Share"),
        tuple(
            (
                str(row["attempts_made"]),
                f"{row['all_messages']:,}",
                f"{row['successes']:,}",
                percent(row["share"]),
            )
            for row in rows
        ),
        tuple(row["share"] for row in rows),
    )


def _arrival(rows: Sequence[Row]) -> Listing:
    return Listing(
        "Time until a message had arrived, of those sent once",
        ("Message", "Messages", "Median", "p95", "Longest"),
        tuple(
            (
                _ARRIVED[row["succeeded_at"]],
                f"{row['all_messages']:,}",
                *(span(row[name]) for name in ("p50_seconds", "p95_seconds", "longest_seconds")),
            )
            for row in rows
        ),
    )


_LISTINGS: tuple[tuple[Question, Callable[[Sequence[Row]], Listing]], ...] = (
    (questions.SUCCESS_BY_ORGANIZATION, _organizations),
    (questions.WORSE_WEBHOOKS, _worse),
    (questions.FAILURES_BY_REASON, _reasons),
    (questions.SLOWEST_TARGETS, _targets),
    (questions.ATTEMPTS_NEEDED, _needed),
    (questions.TIME_TO_SUCCESS, _arrival),
)
