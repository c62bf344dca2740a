"""Any role is killed, or several, while messages flow: nothing is lost, and only what was in flight is sent twice."""

import asyncio
import random

import pytest

from dispatcher.assembly import RoleName
from tests.support.fault_table import FaultTable, Row
from tests.support.fleet import Fleet, RoleProcess
from tests.support.tally import Behaviour, after, always, fail_first, ok
from tests.support.traffic import Traffic
from tests.support.waiting import eventually

ORGANIZATIONS = tuple(f"org-{number}" for number in range(1, 5))
ROLES = (RoleName.MATCHER, RoleName.SENDER, RoleName.RELAY, RoleName.RECORDER)
ATTEMPTS = 3

full = pytest.mark.faults_full


@pytest.mark.parametrize(
    ("killed", "target", "events", "rate", "kills"),
    [
        pytest.param((RoleName.SENDER,), "fast", 2_000, 500.0, 2, id="sender", marks=full),
        pytest.param((RoleName.SENDER,), "1 s", 400, 100.0, 1, id="sender-slow-target", marks=full),
        pytest.param((RoleName.MATCHER,), "fast", 2_000, 500.0, 2, id="matcher", marks=full),
        pytest.param((RoleName.RELAY,), "fast", 2_000, 500.0, 2, id="relay", marks=full),
        pytest.param((RoleName.RECORDER,), "fast", 2_000, 500.0, 2, id="recorder", marks=full),
        pytest.param((RoleName.SENDER, RoleName.RELAY), "fast", 2_000, 500.0, 1, id="sender-relay", marks=full),
        pytest.param((RoleName.MATCHER, RoleName.RECORDER), "fast", 2_000, 500.0, 1, id="matcher-recorder", marks=full),
        pytest.param(ROLES, "fast", 2_000, 500.0, 1, id="all", marks=full),
        pytest.param((RoleName.MATCHER, RoleName.SENDER), "1 s", 300, 150.0, 1, id="matcher-sender"),
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
    await organizations(traffic, ok if target == "fast" else after(1))
    members = dict(zip(ROLES, await fleet.start_all(*((role,) for role in ROLES)), strict=True))
    publishing = asyncio.create_task(traffic.publish(events, ORGANIZATIONS, rate))
    in_flight = 0
    for kill in range(kills):
        moment = round(events * (kill + chance.uniform(0.2, 0.8)) / kills)
        await traffic.calls(moment)
        await asyncio.gather(*(members[role].kill() for role in killed))
        if RoleName.SENDER in killed:
            in_flight += await in_flight_of_the_dead(traffic)
        members.update(zip(killed, await fleet.start_all(*((role,) for role in killed)), strict=True))
    await publishing
    await everything_was_delivered(traffic)
    twice = traffic.tally.made_more_than_once().total()
    table.add(
        Row(
            f"SIGKILL of {' and '.join(killed)}, {kills} x, target {target}",
            messages=len(traffic.expected),
            lost=len(traffic.lost()),
            twice=twice,
            in_flight=in_flight,
            worst_delay=max(traffic.delays()),
            notes=f"seed {seed}",
        )
    )
    assert twice <= in_flight
    assert not traffic.tally.ids_that_changed()
    await the_schedule_was_kept(traffic)
    await traffic.metrics_are_exact(failing=failing(traffic))
    assert_running(fleet, members)


async def organizations(traffic: Traffic, behaviour: Behaviour) -> None:
    """A webhook in each organization that answers so, one that fails at first, and one that always fails."""
    for organization in ORGANIZATIONS:
        await traffic.webhook(f"good-{organization}", behaviour, organization)
    await traffic.webhook("heals", fail_first(1), ORGANIZATIONS[0])
    await traffic.webhook("fails", always(500), ORGANIZATIONS[1])


def failing(traffic: Traffic) -> list[str]:
    return [path for path in traffic.tally.behaviours if path.startswith("fails")]


async def in_flight_of_the_dead(traffic: Traffic) -> int:
    """What a sender that has just been killed, the only one, had in its hands."""
    await eventually(lambda: not traffic.tally.open_connections, what="the end of its connections")
    return len(await traffic.in_flight())


async def everything_was_delivered(traffic: Traffic) -> None:
    await traffic.have_arrived()
    await traffic.quiet()
    assert not traffic.lost()


async def the_schedule_was_kept(traffic: Traffic) -> None:
    """A target that always fails is called as often as the schedule says, whatever was killed: no forked chains."""
    repeated = traffic.tally.made_more_than_once()
    for message, attempts in traffic.tally.attempts().items():
        wanted = {"heals": 2, "fails": ATTEMPTS}.get(message[0], 1)
        assert sorted(set(attempts)) == list(range(1, wanted + 1)), message
        assert len(attempts) == wanted + sum(repeated[message, attempt] for attempt in range(1, wanted + 1))


def assert_running(fleet: Fleet, members: dict[RoleName, RoleProcess]) -> None:
    """Nobody died who was not killed."""
    for member in members.values():
        assert member.running, member.log.read_text()
    assert sum(member.running for member in fleet.members) == len(members)
