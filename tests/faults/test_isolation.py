"""Targets that hang, drip, refuse or reset, and an organization that floods: the others notice nothing.

What healthy targets get is measured twice in the same run, without all that and with it.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from operator import attrgetter

import orjson
import pytest

from dispatcher.assembly import RoleName
from dispatcher.kafka.topics import Topics
from dispatcher.settings import Settings
from tests.support.dispatcher import free_port
from tests.support.fault_table import FaultTable, Row, quantile
from tests.support.fleet import Fleet, RoleProcess
from tests.support.kafka import MakeTopics, consume_all
from tests.support.tally import Behaviour, after, drip, hang, ok, reset
from tests.support.traffic import Traffic

HEALTHY = tuple(f"healthy-{number}" for number in range(8))
FLOODING = "flooding"
RATE = 50.0
ROLES = MATCHER, SENDER, RELAY = RoleName.MATCHER, RoleName.SENDER, RoleName.RELAY
FULL_SECONDS = 600

MUCH = {MATCHER: 400.0, SENDER: 1_000.0, RELAY: 200.0}
LITTLE = {MATCHER: 200.0, SENDER: 400.0, RELAY: 150.0}

full = (pytest.mark.faults_full, pytest.mark.timeout(FULL_SECONDS))


@dataclass(frozen=True)
class Scale:
    """How bad it is, and how much is measured."""

    bad_targets: int
    messages_each: int
    flood: int
    measured: int
    timeout: str
    most_memory: Mapping[RoleName, float]
    """In MiB."""


@pytest.fixture
async def topics(make_topics: MakeTopics) -> Topics:
    return await make_topics(("0s", "5s", "5m"), partitions=8, event_partitions=4)


@pytest.fixture
def settings(settings: Settings, scale: Scale) -> Settings:
    return settings.model_copy(update={"request_timeout": Settings(request_timeout=scale.timeout).request_timeout})


@pytest.mark.parametrize(
    "scale",
    [
        pytest.param(Scale(50, 2_000, 100_000, 3_000, "15s", MUCH), id="50x2000-flood-100000", marks=full),
        pytest.param(Scale(50, 2_000, 0, 2_000, "15s", MUCH), id="50x2000", marks=full),
        pytest.param(Scale(0, 0, 100_000, 2_000, "15s", MUCH), id="flood-100000", marks=full),
        pytest.param(Scale(14, 100, 2_000, 150, "10s", LITTLE), id="14x100-flood-2000", marks=full),
    ],
)
async def test_healthy_targets_notice_nothing(
    fleet: Fleet, traffic: Traffic, table: FaultTable, settings: Settings, scale: Scale
) -> None:
    for organization in HEALTHY:
        await traffic.webhook(f"target-of-{organization}", ok, organization)
    await traffic.webhook("flooded", ok, FLOODING)
    members = dict(zip(ROLES, await fleet.start_all(*((role,) for role in ROLES)), strict=True))
    healthy = [f"target-of-{organization}" for organization in HEALTHY]
    async with a_target_without_tls() as without_tls:
        async with Memory.of(members) as memory:
            bad = await make_bad_targets(traffic, scale.bad_targets, without_tls)
            await traffic.publish(100, HEALTHY, RATE)  # warms everything up
            await traffic.have_arrived(*healthy)
            alone = await measure(traffic, scale.measured, healthy)
            await traffic.publish(scale.messages_each * len(bad), bad)
            await traffic.publish(scale.flood, [FLOODING])
            among_bad = await measure(traffic, scale.measured, healthy)
        fleet.assert_running(*members.values())
        await fleet.close()  # who calls ends before what is called
    twice = sum(times for ((path, _), _), times in traffic.tally.made_more_than_once().items() if path in healthy)
    table.add(
        Row(
            f"{scale.bad_targets} bad targets x {scale.messages_each:,}, a flood of {scale.flood:,}",
            messages=len(traffic.expected_at(*healthy)),
            lost=sum(message not in traffic.tally.arrived for message in traffic.expected_at(*healthy)),
            twice=twice,
            worst_delay=max(among_bad),
            notes=(
                f"healthy p50/p99 alone {shown(alone)}, among them {shown(among_bad)} ms; "
                f"of that {await stages(traffic, set(healthy), len(among_bad))}; "
                f"{', '.join(f'{role} {most:.0f} MiB' for role, most in memory.most.items())}; "
                f"{max(traffic.tally.most_unanswered.values())} calls at a target"
            ),
        )
    )
    assert twice == 0
    assert {role: most for role, most in memory.most.items() if most >= scale.most_memory[role]} == {}
    # Of few messages the slowest hundredth is one or two that any other process may have held up; and twice a very
    # little is less than what the machine itself does to some of them.
    if scale.measured >= 1_000:
        assert quantile(among_bad, 0.99) < max(2 * quantile(alone, 0.99), 0.020)
    # Whoever waited behind a target that hangs would wait for its time-out at least.
    assert quantile(among_bad, 0.99) < settings.request_timeout.total_seconds() / 2


async def make_bad_targets(traffic: Traffic, count: int, without_tls: str) -> list[str]:
    """So many, of each kind in turn, each of an organization of its own; the organizations."""
    kinds: list[tuple[str, Behaviour, str | None]] = [
        ("hangs", hang, None),
        ("drips", drip, None),
        ("late", after(10), None),
        ("resets", reset, None),
        ("refuses", ok, f"http://127.0.0.1:{free_port()}"),
        ("fails-tls", ok, without_tls),
        ("unknown", ok, "http://no-such-name.invalid"),
    ]
    organizations = []
    for number in range(count):
        kind, behaviour, base = kinds[number % len(kinds)]
        path = organization = f"{kind}-{number}"
        url = f"{base}/{path}" if base is not None else None
        await traffic.webhook(path, behaviour, organization, url)
        organizations.append(organization)
    return organizations


async def measure(traffic: Traffic, messages: int, healthy: list[str]) -> list[float]:
    """Seconds from publishing to arrival of so many messages for the healthy targets, at a steady rate."""
    before = set(traffic.expected_at(*healthy))
    gc.disable()  # this process is the target, too: looking through all that it remembers takes it 20 to 60 ms
    try:
        await traffic.publish(messages, HEALTHY, RATE)
        await traffic.have_arrived(*healthy, timeout=FULL_SECONDS)
    finally:
        gc.enable()
    return [
        traffic.tally.arrived[message] - traffic.expected[message]
        for message in traffic.expected_at(*healthy)
        if message not in before
    ]


async def stages(traffic: Traffic, healthy: set[str], last: int) -> str:
    """Where the last messages of the healthy targets spent their time."""
    records = await consume_all(traffic.clients, traffic.topics.attempts, timeout=60)
    outcomes = [orjson.loads(record.value) for record in records if record.key.decode() in healthy]
    outcomes = sorted(outcomes, key=lambda outcome: int(outcome["message_created_on"]))[-last:]
    matching = [(outcome["due_at"] - outcome["message_created_on"]) / 1000 for outcome in outcomes]
    waiting = [(outcome["executed_on"] - outcome["due_at"]) / 1000 for outcome in outcomes]
    calling = [outcome["duration_ms"] / 1000 for outcome in outcomes]
    return f"{shown(matching)} matching, {shown(waiting)} waiting, {shown(calling)} calling"


def shown(seconds: list[float]) -> str:
    return "/".join(f"{quantile(seconds, share) * 1000:.0f}" for share in (0.5, 0.99))


class Memory:
    """What processes hold, looked at again and again: the most of it, in MiB."""

    def __init__(self, members: Mapping[RoleName, RoleProcess]) -> None:
        self._members = members
        self.most = dict.fromkeys(members, 0.0)

    @classmethod
    @asynccontextmanager
    async def of(cls, members: Mapping[RoleName, RoleProcess]) -> "AsyncIterator[Memory]":
        memory = cls(members)
        watching = asyncio.create_task(memory._watch())
        try:
            yield memory
        finally:
            watching.cancel()

    async def _watch(self) -> None:
        while True:
            for role, member in self._members.items():
                self.most[role] = max(self.most[role], await asyncio.to_thread(attrgetter("memory"), member))
            await asyncio.sleep(0.5)


@asynccontextmanager
async def a_target_without_tls() -> AsyncIterator[str]:
    """An https URL where what answers does not speak TLS."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"this is no TLS\r\n" * 4)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()
