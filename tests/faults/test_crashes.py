"""Any role is killed, or several, while messages flow: nothing is lost, and only what was in flight is sent twice."""

import asyncio
import random
from collections import Counter

import pytest

from dispatcher.assembly import RoleName
from tests.support.fault_table import FaultTable, Row
from tests.support.fleet import Fleet
from tests.support.mixed_targets import (
    ORGANIZATIONS,
    ROLES,
    everything_was_delivered,
    make_webhooks,
    metrics_are_exact,
)
from tests.support.tally import Message, after, ok
from tests.support.traffic import Traffic
from tests.support.waiting import eventually

MATCHER, SENDER, RELAY, RECORDER = ROLES

full = pytest.mark.faults_full


@pytest.mark.parametrize(
    ("killed", "target", "events", "rate", "kills"),
    [
        pytest.param((SENDER,), "fast", 2_000, 500.0, 2, id="sender", marks=full),
        pytest.param((SENDER,), "1 s", 600, 150.0, 1, id="sender-slow-target", marks=full),
        pytest.param((MATCHER,), "fast", 2_000, 500.0, 2, id="matcher", marks=full),
        pytest.param((RELAY,), "fast", 2_000, 500.0, 2, id="relay", marks=full),
        pytest.param((RECORDER,), "fast", 2_000, 500.0, 2, id="recorder", marks=full),
        pytest.param((SENDER, RELAY), "fast", 2_000, 500.0, 1, id="sender-relay", marks=full),
        pytest.param((MATCHER, RECORDER), "fast", 2_000, 500.0, 1, id="matcher-recorder", marks=full),
        pytest.param(ROLES, "fast", 2_000, 500.0, 1, id="all", marks=full),
        pytest.param((MATCHER, SENDER), "1 s", 300, 150.0, 1, id="matcher-sender"),
    ],
)
async def test_sigkill(
    fleet: Fleet,
    traffic: Traffic,
    table: FaultTable,
    seed: int,
    killed: tuple[RoleName, ...],
    target: str,
    events: int,
    rate: float,
    kills: int,
) -> None:
    chance = random.Random(seed)
    await make_webhooks(traffic, ok if target == "fast" else after(1))
    others = tuple(role for role in ROLES if role not in killed)
    alone = await fleet.start_all(*((role,) for role in killed), *([others] if others else []))
    members, staying = dict(zip(killed, alone, strict=False)), alone[len(killed) :]
    publishing = asyncio.create_task(traffic.publish(events, ORGANIZATIONS, rate))
    in_flight: Counter[tuple[Message, int]] = Counter()
    for kill in range(kills):
        await traffic.calls(round(events * (kill + chance.uniform(0.2, 0.8)) / kills))
        await asyncio.gather(*(members[role].kill() for role in killed))
        if SENDER in killed:
            in_flight += await in_flight_of_the_dead(traffic)
        members.update(zip(killed, await fleet.start_all(*((role,) for role in killed)), strict=True))
    await publishing
    await everything_was_delivered(traffic)
    twice = traffic.tally.made_more_than_once()
    table.add(
        Row(
            f"SIGKILL of {', '.join(killed)}, {kills} x, targets that take {'nothing' if target == 'fast' else target}",
            messages=len(traffic.expected),
            lost=len(traffic.lost()),
            twice=twice.total(),
            in_flight=in_flight.total(),
            worst_delay=max(traffic.delays()),
            notes=f"seed {seed}",
        )
    )
    # A second chain of retries would repeat attempts that nobody had in his hands when he was killed.
    assert twice <= in_flight
    await metrics_are_exact(traffic)
    fleet.assert_running(*members.values(), *staying)


async def in_flight_of_the_dead(traffic: Traffic) -> Counter[tuple[Message, int]]:
    """What a sender that has just been killed, the only one, had in its hands."""
    await eventually(lambda: not traffic.tally.open_connections, what="the end of its connections")
    return Counter((call.message, call.attempt) for call in await traffic.in_flight())
