"""ClickHouse is killed, or hangs, is slow, or refuses a row: deliveries go on, and nothing is missing afterwards.

What the recorder does meanwhile is tested in ``tests/integration/recording``, without the minutes.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import pytest

from dispatcher.assembly import RoleName
from dispatcher.settings import Settings
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
from tests.support.slow_link import a_slow_link
from tests.support.tally import ok
from tests.support.traffic import Traffic

full = pytest.mark.faults_full

SLOW_SECONDS = 4.0
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


for_minutes = (full, pytest.mark.timeout(600))


@pytest.mark.parametrize(
    ("fault", "events", "rate"),
    [
        pytest.param(killed, 50, 150.0, id="killed", marks=full),
        pytest.param(hanging, 100, 150.0, id="hanging", marks=full),
        pytest.param(killed, 9_000, 60.0, id="killed-for-minutes", marks=for_minutes),
        pytest.param(hanging, 9_000, 60.0, id="hanging-for-minutes", marks=for_minutes),
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
    """So many ``events`` come while it is away, and some before and after."""
    around = min(events, 300)
    await make_webhooks(traffic, ok)
    members = await fleet.start_all(*((role,) for role in ROLES))
    await traffic.publish(around, ORGANIZATIONS, rate)
    began = monotonic()
    async with fault(clickhouse_server):
        await traffic.publish(events, ORGANIZATIONS, rate)
        # All of it is delivered, retries included, while nobody can write down that it is.
        await everything_was_delivered(traffic)
        worst = max(traffic.delays())
        away, memory = monotonic() - began, members[ROLES.index(RoleName.RECORDER)].memory
    back = monotonic()
    await traffic.publish(around, ORGANIZATIONS, rate)
    await everything_was_delivered(traffic)
    await metrics_are_exact(traffic, timeout=120)
    table.add(
        Row(
            f"ClickHouse {fault.__name__} while {events:,} events come",
            messages=len(traffic.expected),
            lost=len(traffic.lost()),
            twice=traffic.tally.made_more_than_once().total(),
            worst_delay=worst,
            notes=(
                f"away for {away:.0f} s, metrics exact {monotonic() - back:.1f} s after its return; "
                f"recorder {memory:.0f} MiB"
            ),
        )
    )
    fleet.assert_running(*members)


@full
async def test_a_slow_clickhouse(
    fleet: Fleet, traffic: Traffic, table: FaultTable, settings: Settings, clickhouse_server: ClickHouseServer
) -> None:
    assert settings.clickhouse_url is not None
    port = urlsplit(clickhouse_server.url).port
    assert port is not None
    await make_webhooks(traffic, ok)
    async with a_slow_link(port) as link:
        slow = settings.clickhouse_url.replace(clickhouse_server.url, link.url)
        others = await fleet.start_all(*((role,) for role in ROLES if role is not RoleName.RECORDER))
        recorder = await fleet.start(RoleName.RECORDER, CLICKHOUSE_URL=slow)
        link.seconds = SLOW_SECONDS
        await traffic.publish(3_000, ORGANIZATIONS, 100)
        await everything_was_delivered(traffic)
        delivered = monotonic()
        await metrics_are_exact(traffic, timeout=120)
        recorded = monotonic() - delivered
    table.add(
        Row(
            f"ClickHouse answers everything {SLOW_SECONDS:.0f} s late while 3,000 events come",
            messages=len(traffic.expected),
            lost=len(traffic.lost()),
            twice=traffic.tally.made_more_than_once().total(),
            worst_delay=max(traffic.delays()),
            notes=f"metrics exact {recorded:.1f} s after the last delivery",
        )
    )
    fleet.assert_running(*others, recorder)


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
