"""Members join, leave and restart while messages flow: none lost, none twice, no long stall."""

import asyncio
from itertools import pairwise
from time import monotonic

import pytest

from dispatcher.assembly import RoleName
from dispatcher.kafka.topics import Topics
from tests.support.exposed import total
from tests.support.fault_table import FaultTable, Row, quantile
from tests.support.fleet import Fleet, RoleProcess
from tests.support.kafka import MakeTopics
from tests.support.tally import after, fail_first
from tests.support.traffic import Traffic

ORGANIZATIONS = tuple(f"org-{number}" for number in range(8))
RATE = 150.0
MOST_SECONDS = 6.0
"""The longest that all messages may stand still when a member joins or leaves."""
STATIC_SESSION_SECONDS = 45.0

full = pytest.mark.faults_full


@pytest.fixture
async def topics(make_topics: MakeTopics) -> Topics:
    return await make_topics(partitions=8, event_partitions=4)


@pytest.mark.parametrize(
    ("role", "sizes"),
    [
        pytest.param(RoleName.SENDER, (1, 4, 2, 1), id="senders-1-4-2-1", marks=full),
        pytest.param(RoleName.MATCHER, (1, 4, 2, 1), id="matchers-1-4-2-1", marks=full),
        pytest.param(RoleName.RELAY, (1, 3, 1), id="relays-1-3-1", marks=full),
        pytest.param(RoleName.SENDER, (1, 2, 1), id="senders-1-2-1", marks=full),
    ],
)
async def test_joining_and_leaving(
    fleet: Fleet,
    traffic: Traffic,
    table: FaultTable,
    role: RoleName,
    sizes: tuple[int, ...],
) -> None:
    for organization in ORGANIZATIONS:
        await traffic.webhook(f"target-of-{organization}", after(0.05), organization)
    others = tuple(each for each in (RoleName.MATCHER, RoleName.SENDER, RoleName.RELAY) if each is not role)
    first, bystander = await fleet.start_all((role,), others)
    members = [first]
    flowing = Flow(traffic)
    rebalances = []
    for size in sizes[1:]:
        await flowing.for_a_while()
        rebalances += [await rebalances_of(member, role) for member in members]
        members = await resize(fleet, members, role, size)
    await flowing.for_a_while()
    await flowing.end()
    await traffic.have_arrived()
    await traffic.quiet()
    rebalances += [await rebalances_of(member, role) for member in members]
    changes = sum(abs(later - earlier) for earlier, later in pairwise(sizes))
    stalls = stalls_of(traffic)
    twice = traffic.tally.made_more_than_once().total()
    table.add(
        Row(
            f"{role}s {' → '.join(map(str, sizes))}, leaving by SIGTERM",
            messages=len(traffic.expected),
            lost=len(traffic.lost()),
            twice=twice,
            worst_delay=max(traffic.delays()),
            notes=(
                f"longest time without any arrival {max(stalls):.2f} s; {changes} came or went, "
                f"{max(rebalances)} rebalances at most of a member"
            ),
        )
    )
    assert twice == 0
    assert not traffic.tally.ids_that_changed()
    assert max(stalls) < MOST_SECONDS
    assert max(traffic.delays()) < MOST_SECONDS, "a part of the partitions stood still"
    # One stall at most for each member that came or went, and one rebalance, beside that of its own start: no storm.
    assert sum(stall > 1 for stall in stalls) <= changes
    assert max(rebalances) <= 1 + changes
    assert [await rebalances_of(bystander, each) for each in others] == [1] * len(others)


@full
@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
@pytest.mark.parametrize("role", [RoleName.SENDER, RoleName.MATCHER, RoleName.RELAY, RoleName.RECORDER], ids=str)
async def test_rolling_restart(fleet: Fleet, traffic: Traffic, table: FaultTable, role: RoleName, static: bool) -> None:
    """Two of a role, one after the other stopped by SIGTERM and started again, as for a new version."""
    for organization in ORGANIZATIONS:
        behaviour = fail_first(1) if role is RoleName.RELAY else after(0.05)
        await traffic.webhook(f"target-of-{organization}", behaviour, organization)
    names = ["blue", "green"] if static else ["", ""]
    members = [await fleet.start(role, KAFKA_GROUP_INSTANCE_ID=name) for name in names]
    others = tuple(each for each in RoleName if each not in {role, RoleName.PORTAL})
    await fleet.start(*others)
    flowing = Flow(traffic)
    restarts = []
    for member, name in zip(members, names, strict=True):
        await flowing.for_a_while()
        began = monotonic()
        await member.stop()
        await fleet.start(role, KAFKA_GROUP_INSTANCE_ID=name)
        restarts.append(monotonic() - began)
    await flowing.for_a_while()
    await flowing.end()
    await traffic.have_arrived()
    await traffic.quiet()
    await traffic.metrics_are_exact()
    stalls = stalls_of(traffic)
    delays = [wait - 1 for wait in traffic.waits()] if role is RoleName.RELAY else traffic.delays()
    assert len(delays) == len(traffic.expected)
    twice = traffic.tally.made_more_than_once().total()
    table.add(
        Row(
            f"rolling restart of 2 {role}s, {'static' if static else 'dynamic'} members"
            + ("; the delay is that of retries" if role is RoleName.RELAY else ""),
            messages=len(traffic.expected),
            lost=len(traffic.lost()),
            twice=twice,
            worst_delay=max(delays),
            notes=(
                f"longest time without any arrival {max(stalls):.2f} s, p99 of delays {quantile(delays, 0.99):.2f} s, "
                f"{sum(delay > 1 for delay in delays):,} later than 1 s; a restart took {max(restarts):.1f} s"
            ),
        )
    )
    assert twice == 0
    assert not traffic.tally.ids_that_changed()
    assert max(stalls) < MOST_SECONDS
    assert max(delays) < MOST_SECONDS, "a part of the partitions stood still"


@full
@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
async def test_a_sender_that_does_not_come_back(
    fleet: Fleet, traffic: Traffic, table: FaultTable, static: bool
) -> None:
    """A static member does not tell that it leaves: its partitions wait for the end of its session."""
    for organization in ORGANIZATIONS:
        await traffic.webhook(f"target-of-{organization}", after(0.05), organization)
    await fleet.start(RoleName.MATCHER, RoleName.RELAY)
    names = ["blue", "green"] if static else ["", ""]
    leaving, _ = [await fleet.start(RoleName.SENDER, KAFKA_GROUP_INSTANCE_ID=name) for name in names]
    flowing = Flow(traffic)
    await flowing.for_a_while()
    await leaving.stop()
    await flowing.for_a_while()
    await flowing.end()
    await traffic.have_arrived(timeout=90)
    await traffic.quiet()
    twice = traffic.tally.made_more_than_once().total()
    delays = traffic.delays()
    table.add(
        Row(
            f"2 → 1 senders, {'static' if static else 'dynamic'} members",
            messages=len(traffic.expected),
            lost=len(traffic.lost()),
            twice=twice,
            worst_delay=max(delays),
            notes=f"{sum(delay > MOST_SECONDS for delay in delays)} later than {MOST_SECONDS:.0f} s",
        )
    )
    assert twice == 0
    assert (max(delays) > MOST_SECONDS) == static
    assert max(delays) < STATIC_SESSION_SECONDS + MOST_SECONDS


class Flow:
    """Publishes at a steady rate until told to end."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._over = False
        self._task = asyncio.create_task(self._publish())

    async def for_a_while(self, messages: int = 200) -> None:
        """Return when so many more have arrived."""
        await self._traffic.calls(len(self._traffic.tally.calls) + messages)

    async def end(self) -> None:
        self._over = True
        await self._task

    async def _publish(self) -> None:
        while not self._over:
            await self._traffic.publish(30, ORGANIZATIONS, RATE)


async def rebalances_of(member: RoleProcess, role: RoleName) -> int:
    """How often its role was given partitions until now."""
    return round(total(await member.metrics(), "dispatcher_rebalances_total", group=role))


async def resize(fleet: Fleet, members: list[RoleProcess], role: RoleName, size: int) -> list[RoleProcess]:
    """Let members join, or the oldest leave, one soon after the other."""
    if size > len(members):
        return members + await fleet.start_all(*[(role,)] * (size - len(members)))
    leaving, staying = members[: len(members) - size], members[len(members) - size :]
    await asyncio.gather(*(member.stop() for member in leaving))
    return staying


def stalls_of(traffic: Traffic) -> list[float]:
    """The times between one arrival and the next, of whichever webhook."""
    return [later - earlier for earlier, later in pairwise(sorted(call.at for call in traffic.tally.calls))]
