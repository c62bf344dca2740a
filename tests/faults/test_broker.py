"""The broker dies, alone or with a role, and comes back on its data while messages flow."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import pytest

from dispatcher.assembly import RoleName
from dispatcher.kafka.embedded import EmbeddedKafka
from tests.support.fault_table import FaultTable
from tests.support.fleet import Fleet
from tests.support.mixed_targets import (
    ORGANIZATIONS,
    ROLES,
    everything_was_delivered,
    make_webhooks,
    metrics_are_exact,
    row_of_kills,
)
from tests.support.tally import after, by_attempt, ok
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


@pytest.mark.parametrize(
    "killed",
    [
        pytest.param((), id="alone"),
        pytest.param((RoleName.MATCHER,), id="matcher"),
        pytest.param((RoleName.SENDER,), id="sender"),
        pytest.param((RoleName.RELAY,), id="relay"),
        pytest.param((RoleName.RECORDER,), id="recorder"),
        pytest.param(ROLES, id="all"),
    ],
)
async def test_sigkill_of_the_broker(
    broker: EmbeddedKafka,
    kafka_servers: str,
    fleet: Fleet,
    traffic: Traffic,
    table: FaultTable,
    seed: int,
    killed: tuple[RoleName, ...],
) -> None:
    events = 2_000
    await make_webhooks(traffic, after(0.3) if RoleName.SENDER in killed else ok)
    members = dict(zip(ROLES, await fleet.start_all(*((role,) for role in ROLES)), strict=True))
    publishing = asyncio.create_task(traffic.publish(events, ORGANIZATIONS, rate=300))
    await traffic.calls(round(events * random.Random(seed).uniform(0.2, 0.6)))
    _, process = (broker.directory / "lock").read_text().split()
    os.kill(int(process), signal.SIGKILL)
    await asyncio.gather(*(members[role].kill() for role in killed))
    began = monotonic()
    await broker.stop()
    assert await broker.start() == kafka_servers
    away = monotonic() - began
    in_flight = await traffic.in_flight_of_the_dead() if RoleName.SENDER in killed else set()
    members.update(zip(killed, await fleet.start_all(*((role,) for role in killed)), strict=True))
    await publishing
    await everything_was_delivered(traffic, timeout=120)
    twice = traffic.tally.made_more_than_once()
    table.add(
        row_of_kills(
            traffic,
            f"SIGKILL of the broker{''.join(f', {role}' for role in killed)}, back on its data",
            in_flight=len(in_flight),
            notes=f"away for {away:.1f} s, seed {seed}",
        )
    )
    assert twice <= by_attempt(in_flight)
    await metrics_are_exact(traffic, timeout=120)
    fleet.assert_running(*members.values())
