"""ClickHouse's tables as an earlier version left them, with what it recorded, are brought up to date: same figures.

``tables-0005.json`` has the statements of the tables as they were after migration 0005, and is never edited; whoever
edits a migration that was released is found out, because these tables do not become what new ones are.
"""

import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dispatcher.recording import queued, schema
from dispatcher.recording.clickhouse import ClickHouse, SchemaMissing
from dispatcher.recording.delivery_log import DeliveryLog
from tests.support.clickhouse import ORGANIZATION, WEBHOOK, a_database, delivery, insert
from tests.support.closed_hours import (
    Traffic,
    close,
    closed_altogether,
    counted_from_rows,
    history,
    listed,
    overview,
    overview_from_rows,
)

LEFT_BY = 5
STATEMENTS: list[str] = json.loads((Path(__file__).parent / "tables-0005.json").read_text(encoding="utf-8"))
WEBHOOKS = ("wh-1", "wh-2", "wh-3")
FIGURES = {
    "messages": "SELECT * FROM messages ORDER BY webhook_id, message_id",
    "attempts": "SELECT * FROM attempts ORDER BY webhook_id, message_id, run, attempt",
    "hours": "SELECT * FROM success_rate_hourly ORDER BY webhook_id, event_type, hour",
    "days": "SELECT * FROM success_rate_daily ORDER BY webhook_id, event_type, day",
}


@pytest.fixture
async def earlier(engine: str) -> AsyncIterator[ClickHouse]:
    """A database with the tables as they were, which remembers its migrations."""
    store = ClickHouse(engine, database=a_database())
    await store.create_database()
    for statement in STATEMENTS:
        await store.command(statement)
    for migration in schema.migrations()[:LEFT_BY]:
        values = {"number": migration.number, "name": migration.name}
        await store.command(
            "INSERT INTO schema_migrations (number, name) SELECT {number:UInt32}, {name:String}", values
        )
    yield store
    await store.close()


async def figures(store: ClickHouse) -> dict[str, Any]:
    """What analysts ask for, what the six figures and the plots show, and the pages of attempts."""
    log = DeliveryLog(store)
    return {
        **{name: await store.query(statement) for name, statement in FIGURES.items()},
        "six": [await log.metrics(ORGANIZATION, webhook) for webhook in WEBHOOKS],
        "plots": [[hour for hour in await history(log, webhook) if hour.attempts] for webhook in WEBHOOKS],
        "pages": [await listed(log, webhook, None, 20) for webhook in WEBHOOKS],
    }


async def test_figures_are_the_same_before_and_after(earlier: ClickHouse) -> None:
    traffic = Traffic(11)
    rows = [row for n in range(90) for row in traffic.message(f"m{n}", WEBHOOKS[n % 3])]
    for number, batch in enumerate(traffic.shuffled_batches(rows)):
        await insert(earlier, batch)
        if number == 0:
            with pytest.raises(SchemaMissing):  # days were not counted then
                await close(earlier)
    before = await figures(earlier)
    assert sum(one.total for one in before["six"]) == len({row["message_id"] for row in rows})
    assert [row["n"] for row in await earlier.query("SELECT count() AS n FROM closed_hours")] != [0]

    assert await schema.pending_migrations(earlier) == schema.migrations()[LEFT_BY:]
    await schema.migrate(earlier)

    assert await schema.pending_migrations(earlier) == ()
    assert await figures(earlier) == before
    assert await overview(earlier) == await overview_from_rows(earlier) != {}
    await closed_altogether(earlier)
    assert await figures(earlier) == before
    assert await overview(earlier) == await overview_from_rows(earlier)

    # And they go on from there: what is told again changes nothing, what is new is counted.
    await insert(earlier, rows[::3])
    assert await figures(earlier) == before
    await insert(earlier, [row for n in range(90, 120) for row in traffic.message(f"m{n}", WEBHOOKS[n % 3])])
    for webhook in WEBHOOKS:
        assert await DeliveryLog(earlier).metrics(ORGANIZATION, webhook) == await counted_from_rows(earlier, webhook)


async def test_a_body_stays_what_was_sent(earlier: ClickHouse) -> None:
    now = int(time.time() * 1000)
    columns = [name for name in queued.COLUMNS if name not in {"attempted", "log_offset"}]
    sent, other = (queued.encode(delivery("m", now, body=body), due_at=now) for body in (b"sent", b"other"))
    await earlier.insert(queued.TABLE, sent[:-9], row_format=queued.FORMAT, columns=columns)
    await schema.migrate(earlier)
    await earlier.insert(queued.TABLE, other, row_format=queued.FORMAT, columns=queued.COLUMNS)
    await earlier.command("OPTIMIZE TABLE message_bodies FINAL")
    assert await DeliveryLog(earlier).body(ORGANIZATION, WEBHOOK, "m") == b"sent"


async def test_upgraded_tables_are_what_new_ones_are(earlier: ClickHouse, engine: str) -> None:
    await schema.migrate(earlier)
    new = ClickHouse(engine, database=a_database())
    try:
        await schema.migrate(new)
        assert await tables(earlier) == await tables(new)
    finally:
        await new.close()


async def tables(store: ClickHouse) -> dict[str, str]:
    """The statements that make them, without the database's name."""
    rows = await store.query(
        "SELECT name, create_table_query AS made FROM system.tables WHERE database = currentDatabase()"
    )
    return {row["name"]: re.sub(rf"`?{store.database}`?\.", "", row["made"]) for row in rows}
