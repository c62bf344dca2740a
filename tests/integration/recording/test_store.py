"""One suite for every ClickHouse: what the portal reads follows from what the recorder inserts, however often."""

import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from dispatcher.delivery.outcome import Outcome, Status
from dispatcher.errors import ClickHouseUnavailable
from dispatcher.moments import moment
from dispatcher.recording import queued
from dispatcher.recording.clickhouse import ClickHouse, ClickHouseTimedOut, QueryFailed, RejectedRows, SchemaMissing
from dispatcher.recording.closing import close_hours
from dispatcher.recording.delivery_log import SHOWN_BODY_BYTES, DeliveryLog
from dispatcher.recording.erasing import ErasedWebhooks, erase_forgotten, erase_organization
from dispatcher.recording.history import Attempt, Metrics
from dispatcher.recording.recoverable import RecoverableMessages, Span
from dispatcher.recording.schema import migrate, migrations, pending_migrations
from tests.support.clickhouse import ORGANIZATION, WEBHOOK, a_database, delivery, insert, outcome

NOW = int(time.time() * 1000)
US = (ORGANIZATION, WEBHOOK)


def queued_row(
    message_id: str, *, run: int = 1, created_on: int = NOW - 5000, body: bytes = b"{}", log_offset: int = 0
) -> bytes:
    return queued.encode(delivery(message_id, created_on, run=run, body=body), due_at=created_on, log_offset=log_offset)


async def insert_queued(clickhouse: ClickHouse, *rows: bytes) -> None:
    await clickhouse.insert(queued.TABLE, b"".join(rows), row_format=queued.FORMAT, columns=queued.COLUMNS)


def failing_then(successful: bool, message_id: str, failures: int) -> list[Outcome]:
    rows = [
        outcome(message_id, attempt, "failed", at=NOW - 4000 + attempt * 100, next_attempt_at=NOW + attempt * 1000)
        for attempt in range(1, failures + 1)
    ]
    last: Status = "successful" if successful else "failed"
    return [*rows, outcome(message_id, failures + 1, last, at=NOW - 4000 + (failures + 1) * 100)]


async def everything(clickhouse: ClickHouse) -> dict[str, list[dict[str, Any]]]:
    views = ("attempts", "messages", "success_rate_hourly", "success_rate_daily")
    return {view: await clickhouse.query(f"SELECT * FROM {view} ORDER BY ALL") for view in views}


async def test_three_failures_and_a_success_are_four_rows_and_one_message(clickhouse: ClickHouse) -> None:
    log = DeliveryLog(clickhouse)
    await insert_queued(clickhouse, queued_row("m"))
    await insert(clickhouse, failing_then(True, "m", 3))
    page = await log.attempts(*US)
    assert [(row.attempt, row.status) for row in page.items] == [
        (4, "successful"), (3, "failed"), (2, "failed"), (1, "failed"),
    ]  # fmt: skip
    assert await log.metrics(*US) == Metrics(successful=1, pending=0, in_progress=0, failed=0)
    message = await log.message(*US, "m")
    assert message is not None
    assert (message.status, message.attempts, message.runs) == ("successful", 4, 1)
    assert message.finished_on == datetime.fromtimestamp((NOW - 3600 + 40) / 1000, UTC)


async def test_whatever_is_inserted_again_in_whatever_order_changes_nothing(clickhouse: ClickHouse) -> None:
    rows = [
        *failing_then(True, "m1", 2),
        *failing_then(False, "m2", 2),
        outcome("m2", 1, "failed", at=NOW - 1000, run=2, next_attempt_at=NOW + 5000),
        outcome("m3", 1, "in_progress", at=NOW - 300),
        *failing_then(False, "m4", 7),
        outcome("m5", 1, "successful", at=NOW - 2000),
        outcome("m5", 1, "successful", at=NOW - 1900),
        outcome("m5", 1, "failed", at=NOW - 1000, run=2),
    ]
    waiting = [queued_row(f"m{number}") for number in range(1, 7)] + [queued_row("m2", run=2)]
    await insert_queued(clickhouse, *waiting)
    await insert(clickhouse, rows)
    expected = await everything(clickhouse)
    assert Counter(row["status"] for row in expected["messages"]) == {
        "successful": 2, "pending": 2, "in_progress": 1, "failed": 1,
    }  # fmt: skip
    chance = random.Random(20261123)
    for _ in range(3):
        shuffled = chance.sample(rows, len(rows))
        for start in range(0, len(shuffled), 5):
            await insert(clickhouse, shuffled[start : start + chance.randint(1, 9)])
        await insert_queued(clickhouse, *chance.sample(waiting, 3))
        assert await everything(clickhouse) == expected


async def test_a_row_keeps_its_id_from_pending_to_its_end(clickhouse: ClickHouse) -> None:
    log = DeliveryLog(clickhouse)
    await insert_queued(clickhouse, queued_row("m-7"))
    (waits,) = (await log.attempts(*US)).items
    assert (waits.id, waits.status) == ("m-7-1-1", "pending")
    assert (waits.executed_on, waits.duration_ms, waits.response_code) == (None, None, None)
    assert waits.next_attempt_at == datetime.fromtimestamp((NOW - 5000) / 1000, UTC)
    await insert(clickhouse, [outcome("m-7", 1, "in_progress", at=NOW - 4000)])
    (runs,) = (await log.attempts(*US, status="in_progress")).items
    assert (runs.id, runs.next_attempt_at) == (waits.id, None)
    assert await log.metrics(*US) == Metrics(successful=0, pending=0, in_progress=1, failed=0)
    await insert(clickhouse, [outcome("m-7", 1, "failed", at=NOW - 4000, next_attempt_at=NOW + 1000)])
    waits_again, failed = (await log.attempts(*US)).items
    assert (failed.id, failed.status, failed.next_attempt_at) == (waits.id, "failed", None)
    assert (waits_again.id, waits_again.status) == ("m-7-1-2", "pending")
    assert (await log.metrics(*US)).pending == 1
    assert (await log.metrics(*US)).success_rate is None


async def test_a_resend_makes_a_failed_message_pending_again(clickhouse: ClickHouse) -> None:
    log = DeliveryLog(clickhouse)
    await insert(clickhouse, failing_then(False, "m", 1))
    assert (await log.metrics(*US)).failed == 1
    await insert_queued(clickhouse, queued_row("m", run=2))
    message = await log.message(*US, "m")
    assert message is not None
    assert (message.status, message.runs, message.finished_on) == ("pending", 2, None)
    await insert(clickhouse, [outcome("m", 1, "successful", at=NOW - 100, run=2)])
    assert await log.metrics(*US) == Metrics(successful=1, pending=0, in_progress=0, failed=0)
    assert len((await log.attempts(*US)).items) == 3


async def test_what_can_be_recovered_has_failed_for_good_and_its_body(clickhouse: ClickHouse) -> None:
    recoverable, span = RecoverableMessages(clickhouse), Span(*_around_now())
    for id in ("a", "b", "waits", "sent"):
        await insert_queued(clickhouse, queued_row(id, body=b'{"of": "%b"}' % id.encode()))
    for id in ("a", "b", "no body"):
        await insert(clickhouse, failing_then(False, id, 1))
    await insert(clickhouse, [outcome("waits", 1, "failed", at=NOW - 4000, next_attempt_at=NOW + 1000)])
    await insert(clickhouse, failing_then(True, "sent", 1))
    assert await recoverable.count(*US, span) == 2
    assert await recoverable.count(*US, span, but=[("b", 1), ("x", 1)]) == 1
    assert await recoverable.count(*US, Span(span.since, span.since + timedelta(seconds=1))) == 0
    found = [one async for batch in recoverable.batches(*US, span) for one in batch]
    assert {one.message.message_id: one.body for one in found} == {"a": b'{"of": "a"}', "b": b'{"of": "b"}'}
    assert {(one.message.status, one.message.runs) for one in found} == {("failed", 1)}
    await insert_queued(clickhouse, queued_row("a", run=2))
    assert await recoverable.count(*US, span) == 1
    await insert(clickhouse, [outcome("a", 1, "failed", at=NOW - 3000, run=2)])
    assert await recoverable.count(*US, span, but=[("a", 1), ("b", 1)]) == 1, "what was sent again has failed again"
    assert await recoverable.count(*US, span, but=[("a", 1), ("a", 2)]) == 1


async def test_a_success_is_never_uncounted_nor_moved(clickhouse: ClickHouse) -> None:
    log = DeliveryLog(clickhouse)
    await insert(clickhouse, [outcome("m", 1, "successful", at=NOW - 4000)])
    before = await clickhouse.query("SELECT * FROM success_rate_hourly")
    await insert_queued(clickhouse, queued_row("m", run=2))
    await insert(clickhouse, [outcome("m", 1, "failed", at=NOW - 100, run=2)])
    await insert(clickhouse, [outcome("m", 1, "successful", at=NOW - 50, run=3)])
    message = await log.message(*US, "m")
    assert message is not None
    assert (message.status, message.runs, message.attempts) == ("successful", 3, 3)
    assert message.finished_on == datetime.fromtimestamp((NOW - 3960) / 1000, UTC)
    assert await clickhouse.query("SELECT * FROM success_rate_hourly") == before


async def test_an_event_published_twice_is_one_message(clickhouse: ClickHouse) -> None:
    log = DeliveryLog(clickhouse)
    await insert_queued(clickhouse, queued_row("m", created_on=NOW - 40 * 86_400_000))
    await insert(clickhouse, [outcome("m", 1, "successful", at=NOW - 39 * 86_400_000)])
    await insert_queued(clickhouse, queued_row("m", created_on=NOW - 5000))
    assert await log.metrics(*US) == Metrics(successful=1, pending=0, in_progress=0, failed=0)


async def test_pages_do_not_shift_when_attempts_are_inserted(clickhouse: ClickHouse) -> None:
    log = DeliveryLog(clickhouse)
    await insert(clickhouse, [outcome(f"m{n}", 1, "successful", at=NOW - 9000 + n // 3) for n in range(30)])
    seen: list[Attempt] = []
    cursor = None
    for number in range(4):
        page = await log.attempts(*US, limit=8, cursor=cursor)
        seen += page.items
        cursor = page.next_cursor
        await insert(clickhouse, [outcome(f"later{number}", 1, "successful", at=NOW - 100 + number)])
    assert cursor is None
    assert {row.message_id for row in seen} == {f"m{n}" for n in range(30)}
    assert len(seen) == 30
    assert all(a.executed_on >= b.executed_on for a, b in pairwise(seen) if a.executed_on and b.executed_on)


async def test_filters_and_limits_of_attempts(clickhouse: ClickHouse) -> None:
    log = DeliveryLog(clickhouse)
    await insert(clickhouse, [*failing_then(True, "m1", 1), outcome("m2", 1, "failed", at=NOW, next_attempt_at=NOW)])
    assert [row.id for row in (await log.attempts(*US, status="failed")).items] == ["m2-1-1", "m1-1-1"]
    assert [row.id for row in (await log.attempts(*US, status="pending")).items] == ["m2-1-2"]
    assert (await log.attempts(ORGANIZATION, "another")).items == []
    assert (await log.attempts("another", WEBHOOK)).items == []
    with pytest.raises(ValueError, match="cursor"):
        await log.attempts(*US, cursor="bm9uc2Vuc2U")
    with pytest.raises(ValueError, match="limit"):
        await log.attempts(*US, limit=0)


async def test_attempts_of_more_than_28_days_ago_are_not_shown(clickhouse: ClickHouse) -> None:
    log = DeliveryLog(clickhouse)
    await insert(clickhouse, [outcome("old", 1, "successful", at=NOW - 29 * 86_400_000)])
    assert (await log.attempts(*US)).items == []
    assert await clickhouse.query("SELECT * FROM attempts") == []
    assert (await log.metrics(*US)).successful == 1


async def test_what_is_too_old_goes_by_whole_partitions(embedded: ClickHouse) -> None:
    day = 86_400_000
    for age in (0, 31, 430):
        await insert(embedded, [outcome(f"{age} days", 1, "successful", at=NOW - age * day)])
    kept = {}
    for table in ("attempt_states", "attempt_times", "messages_by_hour", "message_states"):
        await embedded.command(f"OPTIMIZE TABLE {table} FINAL")
        kept[table] = {row["message_id"] for row in await embedded.query(f"SELECT message_id FROM {table}")}
        [setting] = await embedded.query(
            "SELECT engine_full LIKE '%ttl_only_drop_parts = 1%' AS whole FROM system.tables"
            " WHERE database = currentDatabase() AND name = {table:String}",
            {"table": table},
        )
        assert setting["whole"], table
    of_28_days = {"0 days"}
    assert kept == {
        "attempt_states": of_28_days,
        "attempt_times": of_28_days,
        "messages_by_hour": of_28_days,
        "message_states": {"0 days", "31 days"},
    }


async def test_details_show_16_kib_of_each_body_and_the_body_is_kept_byte_for_byte(clickhouse: ClickHouse) -> None:
    log = DeliveryLog(clickhouse)
    body = b'{"text": "' + "ü".encode() * 20_000 + b'\\u0000\t"}'
    await insert_queued(clickhouse, queued_row("m", body=body))
    row = outcome("m", 1, "failed", at=NOW, request_url="https://target.test/…", request_headers={"a": "b"},
                  response_headers={"c": "d"}, response_body="no", response_truncated=False)  # fmt: skip
    await insert(clickhouse, [row])
    assert await log.body(*US, "m") == body
    details = await log.attempt(*US, "m-1-1")
    assert details is not None
    assert details.attempt.status == "failed"
    assert details.request.url == "https://target.test/…"
    assert details.request.headers == {"a": "b"}
    assert details.request.truncated
    assert len(details.request.body.encode()) <= SHOWN_BODY_BYTES + 2
    assert (details.response.headers, details.response.body, details.response.truncated) == ({"c": "d"}, "no", False)
    for unknown in ("m-1-2", "m", "m-1-x", "m-70000-1", "m-1-"):
        assert await log.attempt(*US, unknown) is None
    assert await log.body(*US, "unknown") is None
    assert await log.message(*US, "unknown") is None


@pytest.mark.parametrize("turned", [False, True], ids=["as they came", "the latest first"])
async def test_the_body_is_the_one_that_kafka_had_first(clickhouse: ClickHouse, turned: bool) -> None:
    log, recoverable = DeliveryLog(clickhouse), RecoverableMessages(clickhouse)
    await insert(clickhouse, [*failing_then(False, "m", 1), outcome("m", 1, "failed", at=NOW - 100, run=2)])
    days = NOW - 2 * 86_400_000
    rows = [
        queued_row("m", created_on=days, body=b"first", log_offset=9),
        queued_row("m", created_on=days, body=b"in its batch", log_offset=10),
        queued_row("m", created_on=days + 1, body=b"in its part", log_offset=11),
        queued_row("m", created_on=NOW - 5000, body=b"on another day", log_offset=3),
        queued_row("m", created_on=NOW - 4000, run=2, body=b"sent again", log_offset=4),
    ]
    for row in rows[:: -1 if turned else 1]:
        await insert_queued(clickhouse, row)
    for _ in range(2):
        assert await log.body(*US, "m") == b"first"
        batches = [batch async for batch in recoverable.batches(*US, Span(*_around_now()))]
        assert [(one.message.message_id, one.body) for batch in batches for one in batch] == [("m", b"first")]
        await clickhouse.command("OPTIMIZE TABLE message_bodies FINAL")


async def test_history_has_every_bucket_and_counts_messages_and_attempts(clickhouse: ClickHouse) -> None:
    log = DeliveryLog(clickhouse)
    hour = NOW // 3_600_000 * 3_600_000 - 2 * 3_600_000
    rows = [outcome(f"m{n}", 1, "successful", at=hour + n, duration_ms=n + 1) for n in range(100)]
    await insert(clickhouse, [*rows, outcome("f", 1, "failed", at=hour + 500)])
    until = datetime.fromtimestamp((hour + 3_600_000 + 5) / 1000, UTC)
    before, busy, after = await log.history(*US, "hour", until - timedelta(hours=2), until)
    assert (before.attempts, after.attempts, after.p50_ms) == (0, 0, None)
    assert (busy.successful, busy.failed, busy.attempts) == (100, 1, 101)
    assert busy.start == datetime.fromtimestamp(hour / 1000, UTC)
    assert busy.p50_ms == pytest.approx(50, abs=3)
    assert busy.p99_ms == pytest.approx(99, abs=3)
    days = await log.history(*US, "day", until - timedelta(days=1), until)
    assert sum(day.successful for day in days) == 100
    assert all(day.start.hour == 0 for day in days)
    with pytest.raises(ValueError, match="beginning"):
        await log.history(*US, "day", until, until)


async def test_success_rates_by_hour_and_day(clickhouse: ClickHouse) -> None:
    await insert(clickhouse, [outcome(f"m{n}", 1, "failed" if n == 0 else "successful", at=NOW) for n in range(4)])
    await insert(clickhouse, [outcome("waits", 1, "failed", at=NOW, next_attempt_at=NOW + 5)])
    (hourly,) = await clickhouse.query("SELECT * FROM success_rate_hourly")
    (daily,) = await clickhouse.query("SELECT * FROM success_rate_daily")
    for row in (hourly, daily):
        assert (row["successful"], row["failed"], row["success_rate"]) == (3, 1, 0.75)
    assert list(hourly) == [
        "organization_id", "webhook_id", "event_type", "hour", "successful", "failed", "success_rate",
    ]  # fmt: skip


async def test_an_organization_is_erased_and_no_other(clickhouse: ClickHouse) -> None:
    log = DeliveryLog(clickhouse)
    await insert_queued(clickhouse, queued_row("m"))
    await insert(clickhouse, [outcome("m", 1, "successful", at=NOW, request_url="https://target.test/")])
    await insert(clickhouse, [outcome("m", 1, "successful", at=NOW, organization_id="other's", webhook_id="theirs")])
    await close_hours(clickhouse, settled=timedelta(milliseconds=-5))
    assert await erase_organization(clickhouse, ORGANIZATION) == 1
    for table in ("attempt_states", "message_states", "message_bodies", "attempt_details"):
        rows = await clickhouse.query(f"SELECT DISTINCT organization_id AS who FROM {table}")
        assert {row["who"] for row in rows} <= {"other's"}
    for table in ("messages_by_hour", "attempt_times", "touched_hours", "closed_hours"):
        rows = await clickhouse.query(f"SELECT DISTINCT organization_id AS who FROM {table}")
        assert [row["who"] for row in rows] == ["other's"]
    assert (await log.metrics("other's", "theirs")).successful == 1
    # ClickHouse keeps for long what it was told to remove.
    for row in await clickhouse.query("SELECT command FROM system.mutations WHERE database = currentDatabase()"):
        assert ORGANIZATION not in row["command"]


async def test_what_comes_late_about_an_erased_webhook_is_removed(clickhouse: ClickHouse) -> None:
    await insert(clickhouse, [outcome("m", 1, "successful", at=NOW)])
    assert await erase_forgotten(clickhouse) is False
    await erase_organization(clickhouse, ORGANIZATION)
    assert await ErasedWebhooks(clickhouse).keys() == {WEBHOOK.encode()}
    await insert(clickhouse, [outcome("m", 1, "successful", at=NOW), outcome("n", 1, "failed", at=NOW, webhook_id="x")])
    assert await erase_forgotten(clickhouse) is True
    assert await erase_forgotten(clickhouse) is False
    assert [row["message_id"] for row in await clickhouse.query("SELECT message_id FROM messages")] == ["n"]


@pytest.mark.parametrize(
    "row",
    [
        b"{}",
        b"nonsense",
        b'{"run": 0}',
        b'{"status": "odd"}',
        b'{"message_id": null}',
        pytest.param(b'{"other": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="too deep"),
    ],
)
async def test_rows_that_cannot_be_read_are_told_from_a_store_that_is_away(clickhouse: ClickHouse, row: bytes) -> None:
    with pytest.raises(RejectedRows):
        await clickhouse.insert("outcomes", row)
    assert await clickhouse.query("SELECT * FROM attempts") == []


async def test_migrations_are_applied_once(clickhouse: ClickHouse) -> None:
    assert await pending_migrations(clickhouse) == ()
    await clickhouse.command("TRUNCATE TABLE schema_migrations")
    assert await pending_migrations(clickhouse) == migrations()
    assert await migrate(clickhouse) == migrations()
    assert await migrate(clickhouse) == ()


async def test_a_database_without_tables_is_asked_without_making_any(clickhouse: ClickHouse) -> None:
    await clickhouse.command("DROP TABLE schema_migrations")
    await clickhouse.command("DROP TABLE closed_hours")
    assert await pending_migrations(clickhouse) == migrations()
    assert (
        await clickhouse.query(
            "SELECT 1 FROM system.tables WHERE name = 'schema_migrations' AND database = currentDatabase()"
        )
        == []
    )
    with pytest.raises(SchemaMissing):
        await DeliveryLog(clickhouse).attempts(*US)


async def test_no_database_is_one_without_migrations(engine: str) -> None:
    store = ClickHouse(engine, database=a_database())
    try:
        assert await pending_migrations(store) == migrations()
        with pytest.raises(SchemaMissing, match="start a recorder"):
            await store.query("SELECT 1")
    finally:
        await store.close()


async def test_a_refused_query_says_why(clickhouse: ClickHouse) -> None:
    with pytest.raises(QueryFailed, match="nowhere"):
        await clickhouse.query("SELECT * FROM nowhere")


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ("max_execution_time = 0.1", ClickHouseTimedOut),
        ("max_memory_usage = 1000000", ClickHouseUnavailable),
    ],
)
async def test_what_may_be_answered_the_next_time_is_not_refused(
    clickhouse: ClickHouse, settings: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match="cannot do this now") as raised:
        await clickhouse.query(f"SELECT uniqExact(number) FROM numbers(1000000000) SETTINGS {settings}")
    assert not isinstance(raised.value, QueryFailed)


def _around_now() -> tuple[datetime, datetime]:
    now = moment(NOW)
    return now - timedelta(hours=1), now + timedelta(hours=1)
