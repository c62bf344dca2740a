"""ClickHouse is killed, or hangs, or refuses a row: deliveries go on, and nothing is missing afterwards."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from tests.support.clickhouse_server import ClickHouseServer, a_clickhouse_server
from tests.support.fault_table import FaultTable, Row
from tests.support.fleet import Fleet
from tests.support.kafka import consume
from tests.support.mixed_targets import (
    ORGANIZATIONS,
    ROLES,
    everything_was_delivered,
    make_webhooks,
    metrics_are_exact,
)
from tests.support.tally import ok
from tests.support.traffic import Traffic

full = pytest.mark.faults_full

POISON = (b"this is no row", b'{"organization_id": "org-1", "status": "no status"}')


@pytest.fixture
async def clickhouse_server(tmp_path: Path) -> AsyncIterator[ClickHouseServer]:
    """A server of the test's own, which it may kill."""
    with a_clickhouse_server((tmp_path / "clickhouse").resolve()) as server:
        await server.ready()
        yield server


@asynccontextmanager
async def killed(server: ClickHouseServer) -> AsyncIterator[None]:
    server.kill()
    yield
    server.start()
    await server.ready()


@asynccontextmanager
async def hanging(server: ClickHouseServer) -> AsyncIterator[None]:
    server.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.signal(signal.SIGCONT)


@pytest.mark.parametrize(
    ("fault", "events", "rate"),
    [
        pytest.param(killed, 150, 150.0, id="killed"),
        pytest.param(hanging, 300, 150.0, id="hanging", marks=full),
        pytest.param(killed, 9_000, 100.0, id="killed-for-minutes", marks=full),
        pytest.param(hanging, 9_000, 100.0, id="hanging-for-minutes", marks=full),
    ],
)
async def test_clickhouse_away(
    fleet: Fleet,
    traffic: Traffic,
    table: FaultTable,
    clickhouse_server: ClickHouseServer,
    fault: Callable[[ClickHouseServer], AbstractAsyncContextManager[None]],
    events: int,
    rate: float,
) -> None:
    await make_webhooks(traffic, ok)
    members = await fleet.start_all(*((role,) for role in ROLES))
    await traffic.publish(events // 3, ORGANIZATIONS, rate)
    async with fault(clickhouse_server):
        await traffic.publish(events // 3, ORGANIZATIONS, rate)
        # All of it is delivered, retries included, while nobody can write down that it is.
        await everything_was_delivered(traffic)
        worst = max(traffic.delays())
    await traffic.publish(events // 3, ORGANIZATIONS, rate)
    await everything_was_delivered(traffic)
    await metrics_are_exact(traffic, timeout=120)
    table.add(
        Row(
            f"ClickHouse {fault.__name__} while {events // 3:,} events come",
            messages=len(traffic.expected),
            lost=len(traffic.lost()),
            twice=traffic.tally.made_more_than_once().total(),
            worst_delay=worst,
            notes="metrics exact afterwards",
        )
    )
    fleet.assert_running(*members)


@full
async def test_rows_that_clickhouse_refuses(
    fleet: Fleet, traffic: Traffic, table: FaultTable, clickhouse_server: ClickHouseServer
) -> None:
    await make_webhooks(traffic, ok)
    members = await fleet.start_all(*((role,) for role in ROLES))
    publishing = asyncio.create_task(traffic.publish(300, ORGANIZATIONS, 150))
    await traffic.calls(100)
    async with traffic.clients.producer() as producer:
        for row in POISON:
            await producer.send_and_wait(traffic.topics.attempts, row)
    await publishing
    await everything_was_delivered(traffic)
    await metrics_are_exact(traffic)
    letters = await consume(traffic.clients, traffic.topics.dead_letter, len(POISON))
    assert {letter.value for letter in letters} == set(POISON)
    table.add(
        Row(
            f"{len(POISON)} rows that ClickHouse refuses among the outcomes",
            messages=len(traffic.expected),
            lost=len(traffic.lost()),
            twice=traffic.tally.made_more_than_once().total(),
            worst_delay=max(traffic.delays()),
            notes="both are dead letters; metrics exact",
        )
    )
    fleet.assert_running(*members)
