"""Any role is killed, or several, while messages flow: nothing is lost, and only what was in flight is sent twice."""

import asyncio
import random

import pytest

from dispatcher.assembly import RoleName
from tests.support.fault_table import FaultTable
from tests.support.fleet import Fleet, RoleProcess
from tests.support.mixed_targets import (
    ORGANIZATIONS,
    ROLES,
    everything_was_delivered,
    make_webhooks,
    metrics_are_exact,
    row_of_kills,
)
from tests.support.tally import Call, after, by_attempt, ok
from tests.support.traffic import Traffic

MATCHER, SENDER, RELAY, RECORDER = ROLES

KILLS_IN_A_ROW = 5
MOST_SECONDS = 5.0
"""A restarted role is killed again within so many."""

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
    in_flight: set[Call] = set()
    for kill in range(kills):
        await traffic.calls(round(events * (kill + chance.uniform(0.2, 0.8)) / kills))
        await asyncio.gather(*(members[role].kill() for role in killed))
        if SENDER in killed:
            in_flight |= await traffic.in_flight_of_the_dead()
        members.update(zip(killed, await fleet.start_all(*((role,) for role in killed)), strict=True))
    await publishing
    await everything_was_delivered(traffic)
    twice = traffic.tally.made_more_than_once()
    table.add(
        row_of_kills(
            traffic,
            f"SIGKILL of {', '.join(killed)}, {kills} x, targets that take {'nothing' if target == 'fast' else target}",
            in_flight=len(in_flight),
            notes=f"seed {seed}",
        )
    )
    # A second chain of retries would repeat attempts that nobody had in his hands when he was killed.
    assert twice <= by_attempt(in_flight)
    await metrics_are_exact(traffic)
    fleet.assert_running(*members.values(), *staying)


@full
@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
@pytest.mark.parametrize(
    "killed",
    [
        pytest.param((SENDER,), id="sender"),
        pytest.param((MATCHER,), id="matcher"),
        pytest.param((RELAY,), id="relay"),
        pytest.param((RECORDER,), id="recorder"),
        pytest.param(ROLES, id="all"),
    ],
)
async def test_sigkill_again_and_again(
    fleet: Fleet, traffic: Traffic, table: FaultTable, seed: int, killed: tuple[RoleName, ...], static: bool
) -> None:
    """Some seconds after each restart: while it starts, joins its group, takes over, or has just gone on."""
    chance = random.Random(seed)
    moments = {role: [chance.uniform(0, MOST_SECONDS) for _ in range(KILLS_IN_A_ROW)] for role in killed}
    await make_webhooks(traffic, after(0.3))
    others = tuple(role for role in ROLES if role not in killed)
    staying = [await fleet.start(*others)] if others else []
    name = "the-same" if static else ""
    in_flight: set[Call] = set()

    async def kill_again_and_again(role: RoleName, member: RoleProcess) -> RoleProcess:
        for moment in (0, *moments[role]):
            await asyncio.sleep(moment)
            assert member.running, member.log.read_text()
            await member.kill()
            if role is SENDER:
                in_flight.update(await traffic.in_flight_of_the_dead())
            (member,) = fleet.begin((role,), KAFKA_GROUP_INSTANCE_ID=name)
        await member.ready()
        return member

    members = await fleet.start_all(*((role,) for role in killed), KAFKA_GROUP_INSTANCE_ID=name)
    publishing = asyncio.create_task(traffic.publish(2_000, ORGANIZATIONS, rate=100))
    await traffic.calls(100)
    members = await asyncio.gather(*map(kill_again_and_again, killed, members))
    await publishing
    await everything_was_delivered(traffic, timeout=90)
    twice = traffic.tally.made_more_than_once()
    shown = "; ".join(", ".join(f"{moment:.1f}" for moment in moments[role]) for role in killed)
    table.add(
        row_of_kills(
            traffic,
            f"SIGKILL of {', '.join(killed)}, again after each restart, {'static' if static else 'dynamic'} members",
            in_flight=len(in_flight),
            notes=f"{shown} s after restarts, seed {seed}",
        )
    )
    assert twice <= by_attempt(in_flight)
    await metrics_are_exact(traffic, timeout=90)
    fleet.assert_running(*members, *staying)
