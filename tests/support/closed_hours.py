"""Random deliveries, what the portal shows of them, and the same counted from the rows themselves."""

import random
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dispatcher.delivery.outcome import Outcome
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.closing import close_hours
from dispatcher.recording.delivery_log import DeliveryLog
from dispatcher.recording.history import Attempt, Bucket, Metrics
from dispatcher.recording.hours import NOT_CLOSED_FOR_SURE
from dispatcher.recording.overview import RecentDeliveries
from tests.support.clickhouse import ORGANIZATION, outcome
from tests.support.waiting import eventually

NOW = int(time.time() * 1000)
HOUR = 3_600_000
DELAYS = (0, 5_000, 300_000, HOUR // 2, 2 * HOUR, 5 * HOUR)


async def close(clickhouse: ClickHouse) -> int:
    # What was touched in this millisecond is still open.
    return await close_hours(clickhouse, settled=timedelta(milliseconds=-5))


class Traffic:
    """Random messages as senders report them: attempts with retries, executed twice now and then, and resent."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def message(self, message_id: str, webhook_id: str) -> list[Outcome]:
        created_on = NOW - self.chance.randint(0, 26 * 24) * HOUR - self.chance.randint(0, HOUR)
        rows = self.run(message_id, webhook_id, created_on, created_on, 1)
        for run in range(2, 2 + self.chance.choice((0, 0, 0, 1, 2))):
            start = min(NOW - 1000, created_on + self.chance.randint(1, 300) * HOUR)
            rows += self.run(message_id, webhook_id, created_on, start, run)
        return rows

    def run(self, message_id: str, webhook_id: str, created_on: int, start: int, run: int) -> list[Outcome]:
        rows: list[Outcome] = []
        due = start
        ends = self.chance.randint(0, len(DELAYS))
        for attempt, delay in enumerate(DELAYS[1:], start=1):
            at = due + self.chance.randint(0, 2_000)
            if at > NOW or attempt > ends:
                break
            took = self.chance.choice((None, self.chance.randint(0, 20_000)))
            others: dict[str, Any] = {
                "webhook_id": webhook_id,
                "run": run,
                "message_created_on": created_on,
                "due_at": due,
                "event_type": self.chance.choice(("object_created", "active_alert")),
                "duration_ms": took,
            }
            if self.chance.random() < 0.3:
                rows.append(outcome(message_id, attempt, "in_progress", at=at, **{**others, "duration_ms": None}))
                if self.chance.random() < 0.1:
                    break
            if self.chance.random() < 0.5:
                rows.append(outcome(message_id, attempt, "successful", at=at, **others))
                break
            due = at + delay
            last = attempt == len(DELAYS) - 1 or self.chance.random() < 0.2
            rows.append(outcome(message_id, attempt, "failed", at=at, **others, next_attempt_at=None if last else due))
            if self.chance.random() < 0.1:
                again = at + self.chance.randint(1, 2 * HOUR)
                rows.append(
                    outcome(message_id, attempt, self.chance.choice(("failed", "successful")), at=again, **others)
                )
            if last:
                break
        return rows

    def shuffled_batches(self, rows: Sequence[Outcome]) -> Iterable[list[Outcome]]:
        """In any order, some of them twice."""
        again = self.chance.sample(rows, len(rows) // 3)
        left = self.chance.sample([*rows, *again], len(rows) + len(again))
        while left:
            size = self.chance.randint(1, len(left))
            yield left[:size]
            left = left[size:]


async def counted_from_rows(clickhouse: ClickHouse, webhook_id: str) -> Metrics:
    rows = await clickhouse.query(
        "SELECT status, count() AS n FROM messages WHERE organization_id = {o:String} AND webhook_id = {w:String}"
        " GROUP BY status",
        {"o": ORGANIZATION, "w": webhook_id},
    )
    return Metrics(
        **{
            **dict.fromkeys(("successful", "pending", "in_progress", "failed"), 0),
            **{row["status"]: row["n"] for row in rows},
        }
    )


async def plotted_from_rows(clickhouse: ClickHouse, webhook_id: str) -> dict[datetime, tuple[int, int, int]]:
    of_webhook = "organization_id = {o:String} AND webhook_id = {w:String}"
    rows = await clickhouse.query(
        "SELECT toUnixTimestamp(hour) AS at, sum(good) AS successful, sum(bad) AS failed, sum(made) AS attempts FROM ("
        " SELECT toStartOfHour(assumeNotNull(finished_on)) AS hour, status = 'successful' AS good,"
        " status = 'failed' AS bad, 0 AS made FROM messages WHERE finished_on IS NOT NULL AND " + of_webhook +
        " UNION ALL SELECT toStartOfHour(assumeNotNull(executed_on)), 0, 0, 1 FROM attempt_states FINAL"
        " WHERE status IN ('failed', 'successful') AND " + of_webhook + ") GROUP BY hour",
        {"o": ORGANIZATION, "w": webhook_id},
    )  # fmt: skip
    return {datetime.fromtimestamp(row["at"], UTC): (row["successful"], row["failed"], row["attempts"]) for row in rows}


async def overview(
    clickhouse: ClickHouse, webhook_ids: Sequence[str] | None = None
) -> dict[tuple[str, str], tuple[int, int]]:
    since = (datetime.fromtimestamp(NOW / 1000, UTC) - timedelta(days=9)).date()
    found = await RecentDeliveries(clickhouse).by_webhook(ORGANIZATION, since, webhook_ids)
    return {
        (webhook, day.isoformat()): (counts.successful, counts.failed)
        for webhook, recent in found.items()
        for day, counts in recent.by_day.items()
    }


async def overview_from_rows(clickhouse: ClickHouse) -> dict[tuple[str, str], tuple[int, int]]:
    rows = await clickhouse.query(
        "SELECT webhook_id, toString(toDate(assumeNotNull(finished_on))) AS at, countIf(status = 'successful') AS good,"
        " countIf(status = 'failed') AS bad FROM messages"
        " WHERE organization_id = {o:String} AND finished_on IS NOT NULL"
        " AND toDate(finished_on) >= toDate(fromUnixTimestamp64Milli({now:Int64}, 'UTC')) - 9"
        " GROUP BY webhook_id, at",
        {"o": ORGANIZATION, "now": NOW},
    )
    return {(row["webhook_id"], row["at"]): (row["good"], row["bad"]) for row in rows}


async def success_rates_are_those_of_the_rows(clickhouse: ClickHouse) -> None:
    """By hour, of which the days are sums, whatever is closed."""
    expected = await clickhouse.query(
        "SELECT organization_id, webhook_id, event_type, toStartOfHour(assumeNotNull(finished_on)) AS hour,"
        " countIf(status = 'successful') AS successful, countIf(status = 'failed') AS failed,"
        " successful / (successful + failed) AS success_rate"
        " FROM messages WHERE finished_on IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY ALL"
    )
    assert await clickhouse.query("SELECT * FROM success_rate_hourly ORDER BY ALL") == expected


async def history(log: DeliveryLog, webhook_id: str) -> list[Bucket]:
    until = datetime.fromtimestamp(NOW / 1000, UTC) + timedelta(hours=3)
    return await log.history(ORGANIZATION, webhook_id, "hour", until - timedelta(days=27, hours=20), until)


async def listed(log: DeliveryLog, webhook_id: str, status: Any, limit: int) -> list[Attempt]:
    items: list[Attempt] = []
    cursor = None
    while True:
        page = await log.attempts(ORGANIZATION, webhook_id, status=status, limit=limit, cursor=cursor)
        items += page.items
        cursor = page.next_cursor
        if cursor is None:
            return items


async def closed_altogether(clickhouse: ClickHouse) -> None:
    """What is touched in a second in which hours are closed counts as open for the overview: let it pass."""
    await close(clickhouse)
    [row] = await clickhouse.query("SELECT toUnixTimestamp(now()) AS second")

    async def is_over() -> bool:
        [now] = await clickhouse.query("SELECT toUnixTimestamp(now()) AS second")
        return bool(now["second"] > row["second"])

    await eventually(is_over, every=0.05, what="the next second")
    await close(clickhouse)
    touched = f"SELECT count() AS n FROM touched_hours WHERE {NOT_CLOSED_FOR_SURE}"
    assert await clickhouse.query(touched) == [{"n": 0}]
