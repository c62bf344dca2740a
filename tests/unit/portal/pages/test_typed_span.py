"""A span of time as somebody types it, where clocks are set back and forward."""

from datetime import UTC, datetime

import pytest

from dispatcher.portal.pages.typed_span import TypedSpan

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "until", "first", "last"),
    [
        ("2026-10-25T01:30", "2026-10-25T02:45", "2026-10-24T23:30", "2026-10-25T01:45"),
        ("2026-10-25T02:15", "2026-10-25T02:45", "2026-10-25T00:15", "2026-10-25T01:45"),
        ("2026-10-25T03:15", "2026-10-25T03:45", "2026-10-25T02:15", "2026-10-25T02:45"),
        ("2026-03-29T01:30", "2026-03-29T02:30", "2026-03-29T00:30", "2026-03-29T01:30"),
    ],
)
def test_no_hour_is_lost_when_clocks_are_set(since: str, until: str, first: str, last: str) -> None:
    typed = TypedSpan(since, until, "Europe/Madrid", NOW)
    assert typed.span == tuple(datetime.fromisoformat(moment).replace(tzinfo=UTC) for moment in (first, last))
    assert not typed.until_error


def test_what_is_no_time_is_no_end() -> None:
    assert TypedSpan("2026-10-25T01:30", "soon", "Europe/Madrid", NOW).until_error
    assert TypedSpan("2026-10-25T01:30", "", "Europe/Madrid", NOW).span == (
        datetime(2026, 10, 24, 23, 30, tzinfo=UTC),
        None,
    )
