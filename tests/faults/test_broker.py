"""The broker dies and comes back on its data while messages flow."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import pytest

from dispatcher.kafka.embedded import EmbeddedKafka
from tests.support.fault_table import FaultTable, Row
from tests.support.fleet import Fleet
from tests.support.mixed_targets import (
    ORGANIZATIONS,
    ROLES,
    everything_was_delivered,
    make_webhooks,
    metrics_are_exact,
)
from tests.support.tally import ok
from tests.support.traffic import Traffic

pytestmark = pytest.mark.faults_full


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedKafka]:
    broker = EmbeddedKafka(tmp_path)
    yield broker
    await broker.stop()


@pytest.fixture
async def kafka_servers(broker: EmbeddedKafka) -> str:
    """A broker of the test's own, which it may kill."""
    return await broker.start()


async def test_sigkill_of_the_broker(
    broker: EmbeddedKafka, kafka_servers: str, fleet: Fleet, traffic: Traffic, table: FaultTable, seed: int
) -> None:
    events = 2_000
    await make_webhooks(traffic, ok)
    members = await fleet.start_all(*((role,) for role in ROLES))
    publishing = asyncio.create_task(traffic.publish(events, ORGANIZATIONS, rate=300))
    await traffic.calls(round(events * random.Random(seed).uniform(0.2, 0.6)))
    _, process = (broker.directory / "lock").read_text().split()
    os.kill(int(process), signal.SIGKILL)
    killed = monotonic()
    await broker.stop()
    assert await broker.start() == kafka_servers
    away = monotonic() - killed
    await publishing
    await everything_was_delivered(traffic, timeout=120)
    twice = traffic.tally.made_more_than_once().total()
    table.add(
        Row(
            "SIGKILL of the broker, back on its data",
            messages=len(traffic.expected),
            lost=len(traffic.lost()),
            twice=twice,
            worst_delay=max(traffic.delays()),
            notes=f"away for {away:.1f} s, seed {seed}",
        )
    )
    assert twice == 0
    await metrics_are_exact(traffic, timeout=120)
    fleet.assert_running(*members)
