"""What a report says of questions that ClickHouse did not answer."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from dispatcher.errors import ClickHouseUnavailable
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.reports.report import Period, Subject, make_report

NOW = datetime(2026, 11, 24, 3, 20, 30, tzinfo=UTC)


class AnswersInReverse:
    """Refuses what is about attempts, the question that was asked last first; else it knows of nothing."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Event] = []

    async def query(self, sql: str, _: Mapping[str, object]) -> list[dict[str, Any]]:
        if "FROM attempts" not in sql:
            return []
        turn = asyncio.Event()
        self._waiting.append(turn)
        if len(self._waiting) == 3:
            turn.set()
        await turn.wait()
        self._waiting.pop()
        if self._waiting:
            self._waiting[-1].set()
        raise ClickHouseUnavailable("busy")


async def test_are_named_in_the_order_in_which_they_are_shown_however_late_each_failed() -> None:
    period = Period(NOW - timedelta(days=1), NOW)
    report = await make_report(cast("ClickHouse", AnswersInReverse()), Subject(), period, limit=5)
    assert list(report.unanswered) == ["durations", "slowest_targets", "failures_by_reason"]
