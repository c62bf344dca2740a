"""ClickHouse in tests: one embedded engine for a test session's modules, a database for each test."""

import json
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dispatcher.delivery.outcome import Outcome, Status
from dispatcher.delivery.record import Delivery
from dispatcher.events.types import EventType
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.http_port import HttpPort
from dispatcher.recording.schema import migrate

ON_A_SERVER_TOO = pytest.mark.parametrize("clickhouse_url", ["engine", "server"], indirect=True, scope="module")
"""For tests of what is asked of ClickHouse: once with the embedded engine, and once with a server where Docker runs."""

ORGANIZATION = "org-contoso"
WEBHOOK = "wh-1"


def outcome(message_id: str, attempt: int, status: Status, *, at: int, **others: Any) -> Outcome:
    """An outcome at ``at`` (milliseconds since the epoch); ``others`` replaces members."""
    row = Outcome(
        organization_id=ORGANIZATION,
        webhook_id=WEBHOOK,
        event_type="object_created",
        message_id=message_id,
        workspace_id="",
        run=1,
        attempt=attempt,
        status=status,
        message_created_on=at - 1000,
        due_at=at - 500,
        executed_on=None if status == "pending" else at,
        duration_ms=40 if status in ("failed", "successful") else None,
        response_code={"failed": 503, "successful": 200}.get(status),
        error="answered 503" if status == "failed" else "",
        reason="status" if status == "failed" else "",
        target_host="target.test",
        next_attempt_at=None,
    )
    return Outcome(**{**row, **others})  # type: ignore[typeddict-item]


def delivery(message_id: str, created_on: int, *, run: int = 1, attempt: int = 1, body: bytes = b"{}") -> Delivery:
    """A delivery of the same webhook."""
    return Delivery(
        webhook_id=WEBHOOK,
        organization_id=ORGANIZATION,
        event_type=EventType.OBJECT_CREATED,
        message_id=message_id,
        run=run,
        attempt=attempt,
        message_created_on=created_on,
        config_offset=0,
        workspace_id="",
        body=body,
    )


async def insert(clickhouse: ClickHouse, outcomes: Iterable[Outcome]) -> None:
    """Insert as the recorder does."""
    await clickhouse.insert("outcomes", b"\n".join(json.dumps(each).encode() for each in outcomes))


def a_database() -> str:
    """A name that no other test has."""
    return f"test_{secrets.token_hex(6)}"


@asynccontextmanager
async def an_empty_store(url: str, unused: list[str]) -> AsyncIterator[ClickHouse]:
    """A migrated database that nobody else uses: one of ``unused``, or a new one, which takes eight times as long."""
    again = bool(unused)
    store = ClickHouse(url, database=unused.pop() if again else a_database())
    try:
        if not again:
            await migrate(store)
        tables = await _tables(store)
        yield store
        if await _tables(store) == tables:
            for table, engine in tables.items():
                if engine.endswith("MergeTree") and table != "schema_migrations":
                    await store.command(f"TRUNCATE TABLE {table}")
            unused.append(store.database)
    finally:
        await store.close()


async def _tables(store: ClickHouse) -> dict[str, str]:
    rows = await store.query("SELECT name, engine FROM system.tables WHERE database = currentDatabase() ORDER BY name")
    return {row["name"]: row["engine"] for row in rows}


@asynccontextmanager
async def port_in_front_of(engine: str, *, port: int = 0) -> AsyncIterator[HttpPort]:
    """The HTTP port with writes allowed: it stands for a server."""
    front = ClickHouse(engine)
    opened = HttpPort(front, port, writable=True)
    await opened.start()
    try:
        yield opened
    finally:
        await opened.stop()
        await front.close()
