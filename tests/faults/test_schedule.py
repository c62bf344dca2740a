"""Attempts that wait: on time when many come due, and neither early, skipped nor repeated, whatever happens."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic, time

import orjson
import pytest

from dispatcher.assembly import RoleName
from dispatcher.delivery.relay import Relay
from dispatcher.kafka.clock import BrokerClock
from dispatcher.kafka.topics import Topics
from tests.support.fault_table import FaultTable, Row, quantile
from tests.support.fleet import Fleet, RoleProcess, WrongClock
from tests.support.kafka import MakeTopics, consume_all
from tests.support.mixed_targets import ORGANIZATIONS
from tests.support.tally import Call, by_attempt, fail_first
from tests.support.traffic import Traffic

MATCHER, SENDER, RELAY = RoleName.MATCHER, RoleName.SENDER, RoleName.RELAY

full = pytest.mark.faults_full

Members = dict[RoleName, RoleProcess]
Disturbance = Callable[[Fleet, Traffic, Members], Awaitable[set[Call]]]
"""Tells which calls may be made once more for it."""

DELAY = 5.0


@pytest.fixture
async def topics(make_topics: MakeTopics) -> Topics:
    return await make_topics(("0s", "5s"), partitions=4)


async def nothing(_fleet: Fleet, _traffic: Traffic, _members: Members) -> set[Call]:
    """All is well."""
    return set()


async def restarts(fleet: Fleet, _traffic: Traffic, members: Members) -> set[Call]:
    """Relay and sender are stopped and started again, as for a new version."""
    for role in (RELAY, SENDER):
        await members[role].stop()
        members[role] = await fleet.start(role)
    return set()


async def rebalances(fleet: Fleet, _traffic: Traffic, members: Members) -> set[Call]:
    """More of them join, and the first ones leave."""
    for role, new in zip((RELAY, SENDER), await fleet.start_all((RELAY,), (SENDER,)), strict=True):
        await members[role].stop()
        members[role] = new
    return set()


async def kills(fleet: Fleet, traffic: Traffic, members: Members) -> set[Call]:
    """Relay and sender are killed."""
    for role in (RELAY, SENDER):
        await members[role].kill()
    in_flight = await traffic.in_flight_of_the_dead()
    members.update(zip((RELAY, SENDER), await fleet.start_all((RELAY,), (SENDER,)), strict=True))
    return in_flight


@pytest.mark.parametrize(
    ("disturbance", "events", "rate", "goal"),
    [
        pytest.param(nothing, 10_000, 170.0, 0.5, id="10000-due-within-a-minute", marks=full),
        pytest.param(nothing, 2_000, 500.0, 0.5, id="2000-due-within-seconds", marks=full),
        pytest.param(restarts, 500, 500.0, 10.0, id="restarts"),
        pytest.param(rebalances, 500, 500.0, 10.0, id="rebalances", marks=full),
        pytest.param(kills, 500, 500.0, 10.0, id="kills", marks=full),
    ],
)
async def test_waiting_attempts(
    fleet: Fleet,
    traffic: Traffic,
    table: FaultTable,
    disturbance: Disturbance,
    events: int,
    rate: float,
    goal: float,
) -> None:
    for organization in ORGANIZATIONS:
        await traffic.webhook(f"heals-{organization}", fail_first(1), organization)
    roles = (MATCHER, SENDER, RELAY)
    members = dict(zip(roles, await fleet.start_all(*((role,) for role in roles)), strict=True))
    await traffic.publish(events, ORGANIZATIONS, rate)
    await traffic.have_arrived()
    in_flight = await disturbance(fleet, traffic, members)
    # What came due before everybody worked again had to wait for that, however long processes take to start.
    began = min(call.at for call in traffic.tally.calls)
    disturbed = 0.0 if disturbance is nothing else max(monotonic() - began - DELAY, 0)
    await traffic.calls(2 * events)
    await traffic.quiet()
    lateness = lateness_of_retries(traffic)
    twice = traffic.tally.made_more_than_once()
    p50, p99 = quantile(lateness, 0.5), quantile(lateness, 0.99)
    table.add(
        Row(
            f"{events:,} attempts wait 5 s; {disturbance.__name__}",
            messages=events,
            lost=events - len(lateness),
            twice=twice.total(),
            worst_delay=max(lateness),
            notes=f"lateness of the second attempt: p50 {p50:.3f}, p99 {p99:.3f} s",
        )
    )
    assert len(lateness) == events
    assert twice <= by_attempt(in_flight)
    assert set(map(tuple, map(sorted, map(set, traffic.tally.attempts().values())))) == {(1, 2)}
    assert min(lateness) >= 0
    assert p99 < goal + disturbed


def lateness_of_retries(traffic: Traffic) -> list[float]:
    """By how much longer than the schedule says the second attempts came after the first had failed."""
    return [wait - DELAY for wait in traffic.waits()]


@full
@pytest.mark.parametrize("waiting", [False, True], ids=["running", "starting"])
@pytest.mark.parametrize("jump", [-3_600.0, 3_600.0], ids=["behind", "ahead"])
async def test_a_machine_whose_clock_is_an_hour_off(
    fleet: Fleet, traffic: Traffic, table: FaultTable, jump: float, waiting: bool
) -> None:
    """The relay's clock; the broker's is right, and it is the one that counts, from the first record on."""
    for organization in ORGANIZATIONS:
        await traffic.webhook(f"heals-{organization}", fail_first(1), organization)
    await fleet.start_all((MATCHER,), (SENDER,))
    relay = Relay(traffic.clients, traffic.topics, clock=BrokerClock(wall=lambda: time() + jump))
    if waiting:
        await traffic.publish(100, ORGANIZATIONS)
        await traffic.have_arrived()
    await relay.start()
    try:
        if not waiting:
            await traffic.publish(100, ORGANIZATIONS)
        await traffic.calls(200, timeout=20)
        await traffic.quiet()
    finally:
        await relay.stop()
    lateness = lateness_of_retries(traffic)
    table.add(
        Row(
            f"the relay's machine is an hour {'behind' if jump < 0 else 'ahead'}{', 100 wait at its start' * waiting}",
            messages=100,
            lost=100 - len(lateness),
            twice=traffic.tally.made_more_than_once().total(),
            worst_delay=max(lateness),
            notes=f"too early: {sum(each < 0 for each in lateness)}",
        )
    )
    assert min(lateness) >= 0
    assert max(lateness) < 3


@full
@pytest.mark.parametrize("jump", [-3_600.0, 3_600.0], ids=["back", "ahead"])
@pytest.mark.parametrize(
    ("role", "waiting"),
    [
        pytest.param(RELAY, True, id="relay-while-attempts-wait"),
        pytest.param(SENDER, True, id="sender-while-attempts-wait"),
        pytest.param(SENDER, False, id="sender-from-its-start"),
    ],
)
async def test_a_clock_that_jumps(
    fleet: Fleet, traffic: Traffic, table: FaultTable, tmp_path: Path, role: RoleName, waiting: bool, jump: float
) -> None:
    """Of a real process, by an hour; half of the attempts wait when it does, where it does not start like that."""
    for organization in ORGANIZATIONS:
        await traffic.webhook(f"heals-{organization}", fail_first(1), organization)
    clock = WrongClock(tmp_path)
    clock.is_off_by(0 if waiting else jump)
    await fleet.start_all(*((each,) for each in (MATCHER, SENDER, RELAY) if each is not role))
    await fleet.start(role, clock=clock)
    await traffic.publish(100, ORGANIZATIONS)
    await traffic.have_arrived()
    clock.is_off_by(jump)
    await traffic.publish(100, ORGANIZATIONS)
    await traffic.calls(400, timeout=30)
    await traffic.quiet()
    lateness = lateness_of_retries(traffic)
    twice = traffic.tally.made_more_than_once().total()
    off = [abs(told - stored) for told, stored in await told_and_stored(traffic)]
    table.add(
        Row(
            f"the {role}'s clock is an hour {'ahead' if jump > 0 else 'back'}, "
            + ("from one moment to the next" if waiting else "from its start"),
            messages=200,
            lost=200 - len(lateness),
            twice=twice,
            worst_delay=max(lateness),
            notes=f"too early: {sum(each < 0 for each in lateness)}; {max(off):.2f} s from the broker's time at most",
        )
    )
    assert len(lateness) == 200
    assert twice == 0
    assert min(lateness) >= 0
    assert max(lateness) < 3
    assert max(off) < 2


async def told_and_stored(traffic: Traffic) -> list[tuple[float, float]]:
    """When each attempt was made, by its outcome, and when the broker stored that; in seconds since the epoch."""
    records = await consume_all(traffic.clients, traffic.topics.attempts)
    return [(orjson.loads(record.value)["executed_on"] / 1000, record.timestamp / 1000) for record in records]
