"""An earlier version on tables that a later one has changed: what a rollback does.

``statements-0005.json`` has what a recorder and a portal that knew migrations up to 0005 said to ClickHouse: inserts,
the statements that close hours, and those that read, with the answers of then. It is never edited; whoever writes a
migration that an earlier version cannot work beside is found out.
"""

import json
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatcher.recording import clickhouse, schema
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.delivery_log import DeliveryLog
from dispatcher.recording.history import Metrics
from tests.support.clickhouse import ORGANIZATION, WEBHOOK, a_database, insert, outcome
from tests.support.closed_hours import close, overview, overview_from_rows

STEPS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "statements-0005.json").read_text(encoding="utf-8"))
_TIME = re.compile(r"<(seconds|milliseconds|bytes|day|date) (-?\d+)>")
_DAY = timedelta(days=1)
# Older than a day, so that all is read of it whatever time of the day it is, and kept still.
MIDNIGHT = datetime.fromtimestamp(time.time() // 86_400 * 86_400, UTC) - 2 * _DAY


def dated(value: Any) -> Any:
    """A value of the file with times as they would be, were its midnight ``MIDNIGHT``."""
    if isinstance(value, dict):
        return {key: dated(each) for key, each in value.items()}
    if isinstance(value, list):
        return [dated(each) for each in value]
    if not isinstance(value, str):
        return value
    if value == "<now>":
        return f"{datetime.now(UTC) + timedelta(milliseconds=5):%Y-%m-%d %H:%M:%S.%f}"[:-3]
    if value == "<now in seconds>":
        return int(time.time()) + 60  # up to when it has looked a minute later
    text = _TIME.sub(lambda found: _time(found[1], int(found[2])), value)
    return int(text) if _TIME.fullmatch(value) and text.isdecimal() else text


def _time(unit: str, number: int) -> str:
    seconds = round(MIDNIGHT.timestamp())
    if unit == "bytes":
        return (seconds * 1000 + number).to_bytes(8, "little").decode("latin-1")
    if unit == "date":
        return (MIDNIGHT + number * _DAY).date().isoformat()
    return str({"seconds": seconds, "milliseconds": seconds * 1000, "day": seconds // 86_400}[unit] + number)


@pytest.fixture
async def today(engine: str) -> AsyncIterator[ClickHouse]:
    """A database with the tables of this version."""
    store = ClickHouse(engine, database=a_database())
    await schema.migrate(store)
    yield store
    await store.close()


async def earlier_version(store: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a recorder and a portal of then do their work; the answers have to be those of then.

    Of two rows with one key in one insert one was written then, where both are now until they are merged.
    """
    with monkeypatch.context() as then:
        then.setitem(clickhouse._INSERT_SETTINGS, "optimize_on_insert", 1)
        await _say_all(store)


async def _say_all(store: ClickHouse) -> None:
    for step in STEPS:
        if "insert" in step:
            rows = dated(step["rows"]).encode("latin-1")
            await store.insert(step["insert"], rows, row_format=step["format"], columns=step["columns"])
        elif "run" in step:
            await store.maintain(dated(step["run"]), dated(step["parameters"]))
        else:
            rows = await store.query(dated(step["query"]), dated(step["parameters"]))
            assert in_any_order(json.loads(json.dumps(rows, default=str))) == in_any_order(dated(step["answer"]))


def in_any_order(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


async def test_an_earlier_recorder_and_portal_work_on_todays_tables_and_todays_go_on(
    today: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await earlier_version(today, monkeypatch)

    # The version that went back comes again: it counts what was recorded meanwhile, and goes on.
    log = DeliveryLog(today)
    counted = Metrics(successful=1, pending=0, in_progress=0, failed=1)
    assert await log.metrics(ORGANIZATION, WEBHOOK) == counted
    for _ in range(2):
        assert (
            await overview(today) == await overview_from_rows(today) == {(WEBHOOK, MIDNIGHT.date().isoformat()): (1, 1)}
        )
        await close(today)
    late = round(MIDNIGHT.timestamp()) * 1000 + 600_000
    await insert(today, [outcome("m3", 1, "successful", at=late, message_created_on=late)])
    assert await log.metrics(ORGANIZATION, WEBHOOK) == Metrics(successful=2, pending=0, in_progress=0, failed=1)
    assert await overview(today) == await overview_from_rows(today)


async def test_what_was_closed_before_a_rollback_is_counted_again_with_what_came_during_it(today: ClickHouse) -> None:
    before = round(MIDNIGHT.timestamp()) * 1000 + 60_000
    await insert(today, [outcome("m0", 1, "successful", at=before, message_created_on=before)])
    await close(today)
    log = DeliveryLog(today)
    assert await log.metrics(ORGANIZATION, WEBHOOK) == Metrics(successful=1, pending=0, in_progress=0, failed=0)

    for step in STEPS[:2]:
        rows = dated(step["rows"]).encode("latin-1")
        await today.insert(step["insert"], rows, row_format=step["format"], columns=step["columns"])
    for step in STEPS:
        if "run" in step:
            await today.maintain(dated(step["run"]), dated(step["parameters"]))

    for _ in range(2):
        assert await log.metrics(ORGANIZATION, WEBHOOK) == Metrics(successful=2, pending=0, in_progress=0, failed=1)
        assert (
            await overview(today) == await overview_from_rows(today) == {(WEBHOOK, MIDNIGHT.date().isoformat()): (2, 1)}
        )
        await close(today)
