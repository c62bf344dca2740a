"""Numbers as people read them, and a page that holds whatever people called their things."""

import json
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from io import StringIO

import pytest
from rich.console import Console

from dispatcher.reports import questions, tables
from dispatcher.reports.page import page
from dispatcher.reports.report import BEFORE, BY_HOUR, OVER_TIME, Column, Period, Report, Subject, Totals
from dispatcher.reports.tables import NOT_ANSWERED, Listing, milliseconds, percent
from dispatcher.reports.terminal import show

EVIL = "<script>alert('x')</script>&\""


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (None, "-"),
        (0.0, "0.0 %"),
        (0.0002, "< 0.1 %"),
        (0.9987, "99.9 %"),
        (0.99999, "> 99.9 %"),
        (1.0, "100 %"),
    ],
)
def test_percent(rate: float | None, expected: str) -> None:
    assert percent(rate) == expected


def test_milliseconds() -> None:
    assert (milliseconds(999), milliseconds(14_900)) == ("999 ms", "14.9 s")


def test_numbers_are_to_the_right_of_names() -> None:
    listing = Listing("", ("Organization", "Webhook", "Messages", "Now"), ())
    assert [listing.is_number(column) for column in range(4)] == [False, False, True, True]
    assert Listing("", ("Attempts", "Share"), ()).is_number(0)


class Tags(HTMLParser):
    """What a browser would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_page_loads_nothing_and_runs_nothing() -> None:
    start = datetime(2026, 11, 23, tzinfo=UTC)
    names = (
        *(questions.SUCCESS_BY_ORGANIZATION, questions.DURATIONS, questions.SLOWEST_TARGETS),
        *(questions.WORSE_WEBHOOKS, questions.ATTEMPTS_NEEDED, questions.TIME_TO_SUCCESS),
    )
    reasons = [{"reason": EVIL, "webhooks": 1, "attempts": 3, "share": 1.0}]
    report = Report(
        subject=Subject(EVIL),
        period=Period(start, start + timedelta(hours=2)),
        totals=Totals(3, 1),
        before=Totals(0, 0),
        over_time=(Column(start, 3, 1), Column(start + timedelta(hours=1), 0, 0)),
        by_hour_of_day=(4, *([0] * 23)),
        answers={**{each.name: [] for each in names}, questions.FAILURES_BY_REASON.name: reasons},
    )
    text = page(report)
    tags = Tags()
    tags.feed(text)
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in tags.found}
    assert not [
        name for _, attributes in tags.found for name in attributes if name in {"src", "href"} or name[:2] == "on"
    ]
    assert "://" not in text
    assert "&lt;script&gt;" in text
    assert "23 Nov 00:00: 3 arrived, 1 failed" in text


def test_what_was_not_answered_is_said_and_never_told_as_nothing() -> None:
    asked = [question.name for question, _ in tables._LISTINGS] + [questions.DURATIONS.name]
    start = datetime(2026, 11, 23, tzinfo=UTC)
    report = Report(
        subject=Subject(),
        period=Period(start, start + timedelta(hours=2)),
        totals=None,
        before=None,
        over_time=None,
        by_hour_of_day=None,
        answers=dict.fromkeys(asked),
        unanswered=dict.fromkeys([OVER_TIME, BEFORE, BY_HOUR, *asked], "too late"),
    )
    console = Console(record=True, width=80, file=StringIO())
    show(report, console)
    shown = console.export_text()
    for text in (shown, page(report)):
        assert text.count(NOT_ANSWERED) >= len(asked) + 1
        for wrong in ("No message", "none failed", "nothing", "None"):
            assert wrong not in text
    assert json.dumps(report.as_json()).count("null") == 2 + 4 + len(asked)
