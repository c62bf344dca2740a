"""Whatever is closed when: the six figures, the plots and the pages are those of the rows themselves."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dispatcher.moments import moment
from dispatcher.observability.metrics import HOURS_CLOSED
from dispatcher.recording import attempt_pages, closing, queued, schema
from dispatcher.recording import overview as overviews
from dispatcher.recording.clickhouse import ClickHouse, ClickHouseTimedOut, QueryFailed, SchemaMissing
from dispatcher.recording.closing import Closing, close_hours
from dispatcher.recording.delivery_log import DeliveryLog
from dispatcher.recording.history import Metrics
from dispatcher.recording.retelling import find_retold
from tests.support.clickhouse import ORGANIZATION, WEBHOOK, a_database, delivery, insert, outcome
from tests.support.closed_hours import (
    HOUR,
    NOW,
    Traffic,
    close,
    closed_altogether,
    counted_from_rows,
    history,
    listed,
    overview,
    overview_from_rows,
    plotted_from_rows,
    success_rates_are_those_of_the_rows,
)
from tests.support.waiting import eventually

US = (ORGANIZATION, WEBHOOK)
AT_ONCE = timedelta(0)
DAY = 24 * HOUR


async def test_figures_and_plots_are_those_of_the_rows_whatever_is_closed_when(embedded: ClickHouse) -> None:
    traffic, log = Traffic(1), DeliveryLog(embedded)
    webhooks = ("wh-1", "wh-2")
    rows = [row for n in range(60) for row in traffic.message(f"m{n}", webhooks[n % 2])]
    for batch in traffic.shuffled_batches(rows):
        await insert(embedded, batch)
        if traffic.chance.random() < 0.7:
            before = [await history(log, webhook) for webhook in webhooks]
            assert await close(embedded) > 0
            assert [await history(log, webhook) for webhook in webhooks] == before
        for webhook in webhooks:
            assert await log.metrics(ORGANIZATION, webhook) == await counted_from_rows(embedded, webhook)
            shown = {each.start: (each.successful, each.failed, each.attempts) for each in await history(log, webhook)}
            expected = await plotted_from_rows(embedded, webhook)
            assert {start: counts for start, counts in shown.items() if any(counts)} == expected
        assert await overview(embedded) == await overview_from_rows(embedded)
        await success_rates_are_those_of_the_rows(embedded)
    await close(embedded)
    assert await close(embedded) == 0
    assert await embedded.query("SELECT hour FROM closed_hours GROUP BY hour") != []


@pytest.mark.parametrize(("seed", "most_listed"), [(1, 0), (2, 10_000)])
async def test_the_overview_of_closed_days_is_that_of_the_rows(
    embedded: ClickHouse, seed: int, most_listed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overviews, "_MOST_LISTED", most_listed)
    traffic = Traffic(seed)
    rows = [row for n in range(60) for row in traffic.message(f"m{n}", f"wh-{n % 3}")]
    await insert(embedded, rows[::2])
    await closed_altogether(embedded)
    assert await overview(embedded) == await overview_from_rows(embedded) != {}
    # Some hours of some closed days are open again.
    for batch in (rows[1 :: len(rows) // 4], rows):
        await insert(embedded, batch)
        expected = await overview_from_rows(embedded)
        assert await overview(embedded) == expected
        assert await overview(embedded, ["wh-1"]) == {key: n for key, n in expected.items() if key[0] == "wh-1"}
        await success_rates_are_those_of_the_rows(embedded)
    assert await overview(embedded, []) == {}
    await closed_altogether(embedded)
    assert await overview(embedded) == await overview_from_rows(embedded)
    await success_rates_are_those_of_the_rows(embedded)


async def test_a_day_that_a_stopped_recorder_did_not_write_is_written_by_the_next(
    embedded: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await insert(embedded, [outcome("m", 1, "successful", at=NOW - 50 * HOUR)])
    with monkeypatch.context() as stopped:
        stopped.setattr(closing, "_DAYS_TO_CLOSE", "SELECT 1 AS killed FROM nowhere")
        with pytest.raises(QueryFailed):
            await close(embedded)
    assert await embedded.query("SELECT count() AS n FROM closed_hours") == [{"n": 1}]
    await closed_altogether(embedded)
    assert await overview(embedded) == await overview_from_rows(embedded) != {}


@pytest.mark.parametrize(("seed", "few"), [(1, 0), (2, 50), (2, 2_000)])
async def test_pages_list_each_attempt_once_whatever_is_closed_when(
    embedded: ClickHouse, seed: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt_pages, "_FEW", few)
    traffic, log = Traffic(seed), DeliveryLog(embedded)
    rows = [row for n in range(25) for row in traffic.message(f"m{n}", WEBHOOK)]
    for batch in traffic.shuffled_batches(rows):
        await insert(embedded, batch)
        if traffic.chance.random() < 0.5:
            await close(embedded)
        await in_pages_as_in_rows(embedded, log, traffic.chance.choice((4, 20, 60)))


@pytest.mark.parametrize(("seed", "few"), [(3, 0), (4, 2_000)])
async def test_pages_list_each_attempt_of_events_that_came_in_two_hours_once(
    embedded: ClickHouse, seed: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt_pages, "_FEW", few)
    traffic, log = Traffic(seed), DeliveryLog(embedded)
    rows = [row for n in range(25) for row in traffic.message(f"m{n}", WEBHOOK)]
    for row in traffic.chance.sample(rows, len(rows) // 3):
        row["message_created_on"] -= traffic.chance.randint(0, 30) * HOUR
    for batch in traffic.shuffled_batches(rows):
        await insert(embedded, batch)
        await find_retold(embedded, AT_ONCE)
        if traffic.chance.random() < 0.7:
            await close(embedded)
        await in_pages_as_in_rows(embedded, log, traffic.chance.choice((4, 20, 60)))


async def in_pages_as_in_rows(clickhouse: ClickHouse, log: DeliveryLog, limit: int) -> None:
    expected = await clickhouse.query(
        "SELECT message_id || '-' || toString(run) || '-' || toString(attempt) AS id, status, duration_ms,"
        " response_code, error"
        " FROM attempts WHERE webhook_id = {w:String}"
        " ORDER BY ifNull(executed_on, due_at) DESC, message_id DESC, run DESC, attempt DESC",
        {"w": WEBHOOK},
    )
    for status in (None, "pending", "in_progress", "successful", "failed"):
        shown = await listed(log, WEBHOOK, status, limit)
        assert [(each.id, each.status, each.duration_ms, each.response_code, each.error) for each in shown] == [
            tuple(row.values()) for row in expected if status in (None, row["status"])
        ]


async def test_an_hour_that_is_touched_is_open_until_it_has_settled(clickhouse: ClickHouse) -> None:
    log = DeliveryLog(clickhouse)
    await insert(clickhouse, [outcome("m", 1, "failed", at=NOW - 50 * HOUR)])
    assert await close_hours(clickhouse) == 0
    assert await close(clickhouse) == 1
    await insert(clickhouse, [outcome("m", 1, "successful", at=NOW, run=2, message_created_on=NOW - 50 * HOUR - 1000)])
    assert await log.metrics(*US) == Metrics(successful=1, pending=0, in_progress=0, failed=0)
    assert await close_hours(clickhouse) == 0
    assert await close(clickhouse) == 1
    assert await log.metrics(*US) == Metrics(successful=1, pending=0, in_progress=0, failed=0)


async def test_an_hour_that_waits_for_a_retry_lists_it_once_closed(clickhouse: ClickHouse) -> None:
    log = DeliveryLog(clickhouse)
    made = delivery("q", NOW - 30 * HOUR)
    await clickhouse.insert(
        queued.TABLE, queued.encode(made, due_at=NOW - 30 * HOUR), row_format=queued.FORMAT, columns=queued.COLUMNS
    )
    await insert(clickhouse, [outcome("r", 1, "failed", at=NOW - 40 * HOUR, next_attempt_at=NOW + HOUR)])
    assert await close(clickhouse) == 2
    waiting = (await log.attempts(*US, status="pending")).items
    assert [(row.id, row.next_attempt_at is not None) for row in waiting] == [("r-1-2", True), ("q-1-1", True)]
    assert (await log.metrics(*US)).pending == 2


@pytest.mark.parametrize("others", [[], ["another"]], ids=["nothing else waits", "another waits in one of the hours"])
async def test_what_waits_of_an_event_that_came_again_in_another_hour_is_listed(
    clickhouse: ClickHouse, others: list[str]
) -> None:
    log = DeliveryLog(clickhouse)
    await insert(
        clickhouse,
        [outcome(id, 1, "failed", at=NOW - 40 * HOUR, next_attempt_at=NOW + HOUR) for id in ("m", *others)],
    )
    assert await close(clickhouse) == 1
    await insert(clickhouse, [outcome("m", 1, "failed", at=NOW - 30 * HOUR, next_attempt_at=NOW + 2 * HOUR)])
    assert await find_retold(clickhouse, AT_ONCE)
    for _ in range(2):
        waiting = (await log.attempts(*US, status="pending")).items
        assert [(row.id, row.next_attempt_at) for row in waiting] == [
            ("m-1-2", moment(NOW + 2 * HOUR)),
            *((f"{id}-1-2", moment(NOW + HOUR)) for id in others),
        ]
        assert (await log.metrics(*US)).pending == len(waiting)
        await in_pages_as_in_rows(clickhouse, log, 1)
        assert await close(clickhouse) in (2, 0)


@pytest.mark.parametrize("boundary", [NOW // HOUR * HOUR - HOUR, NOW // DAY * DAY], ids=["hours", "days"])
async def test_what_was_told_of_in_two_hours_and_has_ended_does_not_wait_though_nobody_has_looked(
    clickhouse: ClickHouse, boundary: int
) -> None:
    log, ended = DeliveryLog(clickhouse), [f"m{n}" for n in range(4)]
    told = [queued.encode(delivery(id, boundary - 2_000), due_at=boundary - 1_000) for id in ("waits", *ended)]
    await clickhouse.insert(queued.TABLE, b"".join(told), row_format=queued.FORMAT, columns=queued.COLUMNS)
    await insert(
        clickhouse,
        [outcome(id, 1, "successful", at=boundary + 3_000, message_created_on=boundary + 2_000) for id in ended],
    )
    for _ in range(2):
        assert [each.id for each in await listed(log, WEBHOOK, "pending", 2)] == ["waits-1-1"]
        shown = [(each.id, each.status) for each in await listed(log, WEBHOOK, None, 2)]
        assert shown == [*((f"{id}-1-1", "successful") for id in reversed(ended)), ("waits-1-1", "pending")]
        await close(clickhouse)


async def test_messages_of_more_than_13_months_ago_do_not_count(clickhouse: ClickHouse) -> None:
    log = DeliveryLog(clickhouse)
    await insert(clickhouse, [outcome("old", 1, "successful", at=NOW - 400 * 24 * HOUR)])
    await insert(clickhouse, [outcome("kept", 1, "successful", at=NOW - 380 * 24 * HOUR)])
    for _ in range(2):
        assert await log.metrics(*US) == Metrics(successful=1, pending=0, in_progress=0, failed=0)
        assert [row["message_id"] for row in await clickhouse.query("SELECT message_id FROM messages")] == ["kept"]
        await success_rates_are_those_of_the_rows(clickhouse)
        await close(clickhouse)


async def test_quantiles_are_right_within_a_hundredth(clickhouse: ClickHouse) -> None:
    log = DeliveryLog(clickhouse)
    start = NOW // HOUR * HOUR - 5 * HOUR
    chance = random.Random(7)
    durations = sorted(chance.randint(0, 30_000) for _ in range(1_001))
    rows = [outcome(f"m{n}", 1, "successful", at=start + 1, duration_ms=took) for n, took in enumerate(durations)]
    await insert(clickhouse, [*rows, outcome("nobody", 1, "failed", at=start + 2, duration_ms=None)])
    since = datetime.fromtimestamp(start / 1000, UTC)
    for _ in range(2):
        (hour,) = await log.history(*US, "hour", since, since + timedelta(hours=1))
        assert hour.attempts == 1_002
        for shown, share in ((hour.p50_ms, 0.5), (hour.p95_ms, 0.95), (hour.p99_ms, 0.99)):
            assert shown == pytest.approx(durations[int(share * 1_000)], rel=0.01)
        await close(clickhouse)


async def test_an_event_that_is_published_again_in_another_hour_is_counted_once(clickhouse: ClickHouse) -> None:
    log = DeliveryLog(clickhouse)
    first, again = NOW - 30 * HOUR, NOW - 2 * HOUR
    await insert(
        clickhouse, [outcome("m", 1, "failed", at=first, duration_ms=5), outcome("n", 1, "successful", at=first)]
    )
    assert await find_retold(clickhouse, timedelta(0))
    await close(clickhouse)
    await insert(clickhouse, [outcome("m", 1, "successful", at=again, duration_ms=7)])
    assert await find_retold(clickhouse, timedelta(0))
    for _ in range(2):
        assert await log.metrics(*US) == Metrics(successful=2, pending=0, in_progress=0, failed=0)
        shown = {each.start: (each.successful, each.failed, each.attempts) for each in await history(log, WEBHOOK)}
        assert {start: counts for start, counts in shown.items() if any(counts)} == await plotted_from_rows(
            clickhouse, WEBHOOK
        )
        await in_pages_as_in_rows(clickhouse, log, 2)
        await success_rates_are_those_of_the_rows(clickhouse)
        assert await close(clickhouse) in (2, 0)
    await insert(clickhouse, [outcome("m", 1, "in_progress", at=NOW - 10, run=2, message_created_on=again)])
    assert (await log.metrics(*US)).successful == 2
    assert not await find_retold(clickhouse)


async def test_an_hour_that_takes_too_long_holds_up_no_other(
    embedded: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = [NOW - n * HOUR for n in range(2, 5)]
    await insert(embedded, [outcome(f"m{n}", 1, "successful", at=at) for n, at in enumerate(hours)])
    monkeypatch.setattr(closing, "_HOURS_AT_ONCE", 1)
    maintain, asked = embedded.maintain, list[str]()

    async def all_but_the_first(sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        asked.append(sql)
        if len(asked) == 1:
            raise ClickHouseTimedOut("too long")
        await maintain(sql, parameters)

    with monkeypatch.context() as slow:
        slow.setattr(embedded, "maintain", all_but_the_first)
        with pytest.raises(ClickHouseTimedOut):
            await close(embedded)
    rows = await embedded.query("SELECT count() AS hours FROM closed_hours")
    assert rows == [{"hours": 2}]
    assert await embedded.query("SELECT until FROM looks WHERE name = 'closed_days'") == [], "the first is still open"
    assert await overview(embedded) == await overview_from_rows(embedded)
    assert await close(embedded) == 1


async def test_hours_are_closed_though_nothing_can_be_looked_up_and_it_is_told(
    embedded: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await insert(embedded, [outcome("m", 1, "successful", at=NOW - 2 * HOUR)])
    in_time = False

    async def looked_up(_: ClickHouse) -> bool:
        if not in_time:
            raise ClickHouseTimedOut("too long")
        return True

    async def closed(clickhouse: ClickHouse) -> int:
        return await close(clickhouse)

    def said() -> float:
        return next(sample.value for metric in HOURS_CLOSED.collect() for sample in metric.samples)

    monkeypatch.setattr(closing, "find_retold", looked_up)
    monkeypatch.setattr(closing, "close_hours", closed)
    monkeypatch.setattr(closing, "_EVERY_SECONDS", 0.1)
    await embedded.command("INSERT INTO looks (name, until) VALUES ('closed_days', 1700000000)")
    upkeep = Closing(embedded)
    await upkeep.start()
    try:
        await eventually(lambda: embedded.query("SELECT 1 FROM closed_hours"), what="the hour is closed")
        assert said() == 1_700_000_000, "as another recorder left it"
        in_time = True
        await eventually(lambda: said() > NOW / 1000, what="it is told")
    finally:
        await upkeep.stop()


@pytest.mark.parametrize("applied", [3, 4, 9])
async def test_what_was_recorded_before_the_upgrade_is_counted_and_listed(
    engine: str, applied: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ClickHouse(engine, database=a_database())
    released, log = schema.migrations()[:applied], DeliveryLog(store)
    traffic = Traffic(5)
    rows = [row for n in range(30) for row in traffic.message(f"m{n}", WEBHOOK)]
    try:
        with monkeypatch.context() as before:
            before.setattr(schema, "migrations", lambda: released)
            assert await schema.migrate(store) == released
            earlier = [
                outcome("earlier", 1, "failed", at=NOW - 90 * 24 * HOUR),
                outcome("kept", 1, "failed", at=NOW - 30 * HOUR),
            ]
            await insert(store, [*rows, *earlier])
            if applied < 9:
                with pytest.raises(SchemaMissing):
                    await log.attempts(*US)
        assert await schema.pending_migrations(store) == schema.migrations()[applied:]
        await schema.migrate(store)
        for _ in range(2):
            assert await log.metrics(*US) == await counted_from_rows(store, WEBHOOK)
            await in_pages_as_in_rows(store, log, 20)
            await close(store)
        assert (await log.metrics(*US)).total == len({row["message_id"] for row in rows}) + len(earlier)
        # Some of these rows tell everything, and some are of attempts that were there before.
        await insert(store, [*rows[::3], *(row for n in range(30, 40) for row in traffic.message(f"m{n}", WEBHOOK))])
        await in_pages_as_in_rows(store, log, 7)
        # What is told again now was looked at an hour ago.
        await store.command(
            "ALTER TABLE messages_by_hour UPDATE first_seen = first_seen - 3600 WHERE 1 SETTINGS mutations_sync = 1"
        )
        await store.command("INSERT INTO looks (name, until) SELECT 'retold', now('UTC') - 600")
        await insert(store, [outcome("kept", 1, "successful", at=NOW - HOUR)])
        assert await find_retold(store, AT_ONCE)
        retold = await store.query("SELECT DISTINCT message_id FROM retold_messages WHERE message_id = 'kept'")
        assert retold == [{"message_id": "kept"}]
    finally:
        await store.close()
