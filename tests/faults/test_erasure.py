"""Erasing an organization, down to the bytes: nothing of it is left in Kafka's files, nor in ClickHouse's.

What takes days by ``topics.yaml`` takes a second here: the settings of this test's own broker and tables are its hours.
"""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
import pytest

from dispatcher.delivery.outcome import encode_outcome
from dispatcher.kafka.administration import apply
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.dead_letters import DeadLetters
from dispatcher.kafka.embedded import EmbeddedKafka, broker
from dispatcher.kafka.embedded.configuration import server_properties
from dispatcher.kafka.plan import AlterConfig, Plan
from dispatcher.kafka.topics import Topics, load_topics
from dispatcher.organizations.erasing import erase
from dispatcher.portal.app import Portal
from dispatcher.portal.audit import read_audit_record
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.closing import close_hours
from dispatcher.recording.recorder import Recorder
from dispatcher.recording.retelling import find_retold
from dispatcher.recording.schema import migrate
from dispatcher.settings import Settings
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.vault import Vault
from tests.support.clickhouse import delivery, outcome
from tests.support.kafka import consume_all, create_topics
from tests.support.portal import Api, a_token
from tests.support.waiting import eventually
from tests.support.webhooks import disable_command

pytestmark = pytest.mark.faults_full

MARKER, THEIRS = (f"marker{secrets.token_hex(12)}" for _ in range(2))
US, OTHERS = f"org-{MARKER}", f"org-{THEIRS}"
"""Whoever names one of them, or a person, a webhook, a target or a message of theirs, has its marker."""

HOUR = 3_600_000
NOW = int(datetime.now(UTC).timestamp() * 1000)

_QUICK_BROKER = """
log.cleaner.backoff.ms=500
log.retention.check.interval.ms=500
log.segment.delete.delay.ms=100
"""
_QUICK_COMPACTION = {
    "segment.ms": "500",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "500",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "100",
    "file.delete.delay.ms": "100",
}
_QUICK_RETENTION = {"retention.ms": "1000", "segment.ms": "500", "file.delete.delay.ms": "100"}
_RATES = ("success_rate_hourly", "success_rate_daily")
_OF_NOBODY = {"webhook_id", "event_type", "ended.event_type", "reason"}
"""Columns that have no texts of people."""
_QUICK_PARTS = "old_parts_lifetime = 1, cleanup_delay_period = 1, merge_tree_clear_old_parts_interval_seconds = 1"


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def kafka_servers() -> str:
    return "127.0.0.1:1"


@pytest.fixture
async def clients(settings: Settings, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch) -> KafkaClients:
    monkeypatch.setattr(
        broker, "server_properties", lambda *given, **named: server_properties(*given, **named) + _QUICK_BROKER
    )
    kafka = EmbeddedKafka(settings.data_dir)
    stack.push_async_callback(kafka.stop)
    return KafkaClients(settings, await kafka.start())


@pytest.fixture
async def topics(settings: Settings, clients: KafkaClients) -> Topics:
    topics = load_topics(settings.topics_file, settings.kafka_prefix)
    await create_topics(clients, topics)
    return topics


async def set_topics(clients: KafkaClients, names: list[str], config: dict[str, str]) -> None:
    wanted = {key: (None, value) for key, value in config.items()}
    await apply(clients, Plan(tuple(AlterConfig(name, wanted) for name in names), ()))


async def fill(clients: KafkaClients, topics: Topics, organization: str, webhook_id: str, marker: str) -> None:
    """Something of an organization in each of Kafka's topics that its people do not fill."""
    about: dict[str, Any] = {
        "organization_id": organization,
        "webhook_id": webhook_id,
        "workspace_id": marker,
        "target_host": f"{marker}.example",
        "request_url": f"https://{marker}.example/hook",
        "request_headers": {"x-key": marker},
        "response_headers": {"x-answer": marker},
        "response_body": marker,
    }
    made = delivery(f"m-{marker}", NOW - 3 * HOUR, body=marker.encode())._replace(
        organization_id=organization,
        webhook_id=webhook_id,
        workspace_id=marker,
    )
    failed = outcome(f"m-{marker}", 1, "failed", at=NOW - 2 * HOUR, error=f"{marker} answers 500", **about)
    # The same event once more, an hour later.
    again = outcome(f"m-{marker}", 1, "successful", at=NOW - HOUR, error=marker, **about)
    key = webhook_id.encode()
    async with clients.producer() as producer:
        for name in (*topics.to_send, *topics.retry.values()):
            await producer.send_and_wait(name, made.body, key=key, headers=made.headers())
        for row in (failed, again):
            await producer.send_and_wait(topics.attempts, encode_outcome(row), key=key)
        await producer.send_and_wait(topics.notices, marker.encode(), key=key)
        await producer.send_and_wait(topics.resources, marker.encode(), key=f"{organization}/alert/1".encode())
        # It was asked for before the webhook was changed last, so that nobody disables it.
        await producer.send_and_wait(topics.commands, disable_command(webhook_id, marker, as_of=0), key=key)
        for name in topics.events.values():
            await producer.send_and_wait(name, marker.encode(), key=organization.encode())
            event = (await consume_all(clients, name))[-1]
            await DeadLetters(producer, topics.dead_letter).send(event, marker)


@dataclass(frozen=True)
class Texts:
    """The columns of a table, or a view, that can hold a text: their types by their names."""

    table: str
    engine: str
    types: dict[str, str]

    @property
    def stores(self) -> bool:
        """Whether it keeps something of organizations."""
        return self.engine.endswith("MergeTree") and "organization_id" in self.types

    async def holding(self, clickhouse: ClickHouse, needle: str) -> set[str]:
        """Those with a row that has it."""
        counted = ", ".join(f"countIf(position(toString(`{name}`), {{needle:String}}) > 0)" for name in self.types)
        sql = f"SELECT [{counted}] AS rows FROM {self.table}"
        [row] = await clickhouse.query(sql, {"needle": needle})
        return {name for name, rows in zip(self.types, row["rows"], strict=True) if rows}


async def texts(clickhouse: ClickHouse) -> list[Texts]:
    """Of everything that there is in the database."""
    rows = await clickhouse.query(
        "SELECT c.table AS table, any(t.engine) AS engine,"
        " mapFromArrays(groupArray(c.name), groupArray(c.type)) AS types"
        " FROM system.columns AS c JOIN system.tables AS t ON t.database = c.database AND t.name = c.table"
        " WHERE c.database = currentDatabase() AND c.type LIKE '%String%' GROUP BY c.table"
    )
    return [Texts(row["table"], row["engine"], row["types"]) for row in rows]


async def holders(clickhouse: ClickHouse, needle: str) -> dict[str, set[str]]:
    """Which columns hold it, by table."""
    held = {each.table: await each.holding(clickhouse, needle) for each in await texts(clickhouse)}
    return {table: names for table, names in held.items() if names}


async def make_legible(clickhouse: ClickHouse) -> None:
    """Have ClickHouse's files hold texts as they are, and give up old parts at once."""
    for each in await texts(clickhouse):
        if each.stores:
            changes = ", ".join(f"MODIFY COLUMN `{name}` {type} CODEC(NONE)" for name, type in each.types.items())
            await clickhouse.command(f"ALTER TABLE {each.table} {changes}")
            await clickhouse.command(f"ALTER TABLE {each.table} MODIFY SETTING {_QUICK_PARTS}")


def a_token_of(settings: Settings, organization: str, marker: str) -> str:
    """A token of an admin of this organization alone."""
    organizations = {organization: {"name": marker, "role": "organization_admin"}}
    return a_token(settings, sub=f"user-{marker}", name=f"Ada {marker}", organizations=organizations)


async def holding(directory: Path, *needles: bytes) -> set[str]:
    """The directories below, Kafka's partitions or ClickHouse's tables, of which a file holds one of the needles."""

    def look() -> set[str]:
        found = set()
        for parent, _, names in os.walk(directory):  # which passes over what is deleted while we look
            for name in names:
                try:
                    content = (Path(parent) / name).read_bytes()
                except OSError:
                    continue
                if any(needle in content for needle in needles):
                    found.add(str(Path(parent).relative_to(directory)))
        return found

    return await asyncio.to_thread(look)


async def nowhere(directory: Path, *needles: bytes) -> bool:
    """Whether no file below holds one of the needles."""
    return not await holding(directory, *needles)


async def test_no_byte_is_left(
    settings: Settings, clients: KafkaClients, topics: Topics, stack: AsyncExitStack
) -> None:
    assert settings.encryption_key is not None
    vault = Vault(settings.encryption_key.get_secret_value())
    follower = ConfigFollower(clients, topics, vault)
    await follower.start()
    stack.push_async_callback(follower.stop)
    clickhouse = ClickHouse(f"chdb://{settings.data_dir / 'clickhouse'}")
    stack.push_async_callback(clickhouse.close)
    await migrate(clickhouse)
    await make_legible(clickhouse)
    portal = Portal(settings, clients, topics, follower, vault, clickhouse)
    for role in (Recorder(clients, topics, clickhouse), portal):
        await role.start()
        stack.push_async_callback(role.stop)
    session = await stack.enter_async_context(aiohttp.ClientSession(portal.url))
    ids, apis = {}, {}
    for organization, marker in ((US, MARKER), (OTHERS, THEIRS)):
        api = apis[organization] = Api(session, a_token_of(settings, organization, marker), organization)
        webhook = await api.create(
            name=f"Tickets of {marker}",
            target_url=f"https://{marker}.example/hook",
            payload_template={"text": marker},
            headers={"x-key": marker},
        )
        ids[organization] = webhook["id"]
        await fill(clients, topics, organization, webhook["id"], marker)
    config = {each.key.decode(): each.value for each in await consume_all(clients, topics.config)}
    ours, theirs = (config[ids[each]][:100] for each in (US, OTHERS))
    needles = MARKER.encode(), ids[US].encode(), ours
    kafka, engine = settings.data_dir / "kafka" / "data", settings.data_dir / "clickhouse"
    if not kafka.exists():
        (kafka,) = [path.parent for path in (settings.data_dir / "kafka").rglob("meta.properties")]

    async def recorded() -> bool:
        rows = await clickhouse.query("SELECT status, attempts FROM messages")
        return [(row["status"], row["attempts"]) for row in rows] == [("successful", 1)] * 2

    await eventually(recorded)
    await find_retold(clickhouse, every=timedelta(0))
    await close_hours(clickhouse, settled=timedelta(milliseconds=-5))  # what was touched in this millisecond is open
    for each in await texts(clickhouse):
        if each.stores:
            held = await each.holding(clickhouse, MARKER)
            assert each.types.keys() - held <= _OF_NOBODY, f"{each.table} was not filled"
    assert await rates(clickhouse) == {(view, each): (1, 0) for view in _RATES for each in (US, OTHERS)}
    before = {name.rpartition("-")[0] for name in await holding(kafka, *needles)}
    # Who has signed out is told by ids of sessions that say nothing about anybody.
    assert before == {topic.name for topic in topics.declared} - {topics.sessions}
    of_others = await holders(clickhouse, THEIRS)
    assert await holding(engine, MARKER.encode())

    started = monotonic()
    erased = await erase(clients, topics, US, within=30)
    assert erased == {"webhooks": 1, "resources": 1, "messages": 1, "undecipherable": 0}
    told = [f"answered after {monotonic() - started:.1f} s"]
    assert await holders(clickhouse, MARKER) == {}
    assert await holders(clickhouse, ids[US]) == {"erased_webhooks": {"webhook_id"}}
    assert await rates(clickhouse) == {(view, OTHERS): (1, 0) for view in _RATES}
    await eventually(lambda: nowhere(engine, MARKER.encode()), timeout=60, every=0.2)
    told.append(f"out of ClickHouse's files after {monotonic() - started:.1f} s")

    compacted = [topics.config, topics.resources]
    await set_topics(clients, compacted, _QUICK_COMPACTION)
    producer = await stack.enter_async_context(clients.producer())

    async def compact() -> bool:
        # A segment is closed when something is written after its time.
        await producer.send_and_wait(topics.config, b"filler", key=b"filler", headers=[])
        await producer.send_and_wait(topics.resources, None, key=b"filler/alert/1")
        left = await holding(kafka, *needles)
        return not any(name.startswith(tuple(compacted)) for name in left)

    await eventually(compact, timeout=60, every=0.3)
    told.append(f"out of the compacted topics {monotonic() - started:.1f} s")
    assert await holding(kafka, theirs)
    assert {name for name in await holding(kafka, THEIRS.encode()) if name.startswith(topics.resources)}

    others = [each.name for each in topics.declared if not each.compacted and each.name != topics.audit]
    await set_topics(clients, others, _QUICK_RETENTION)

    async def only_the_audit_is_left() -> bool:
        assert await holding(kafka, *needles) == {f"{topics.audit}-0"}
        return True

    await eventually(only_the_audit_is_left, timeout=60, every=0.3)
    told.append(f"out of the others, their retention being over, {monotonic() - started:.1f} s")
    await the_audit_is_evidence(clients, topics, ids[US])
    assert (await apis[US]("GET", f"/webhooks/{ids[US]}/audit")).status == 404
    await set_topics(clients, [topics.audit], _QUICK_RETENTION)
    await eventually(lambda: nowhere(kafka, *needles), timeout=60, every=0.3)
    assert await holders(clickhouse, THEIRS) == of_others
    sys.stderr.write(f"\nerased: {'; '.join(told)}\n")


async def rates(clickhouse: ClickHouse) -> dict[tuple[str, str], tuple[int, int]]:
    """How many messages of whom succeeded and failed, as each of the views for analysts has it."""
    return {
        (view, row["organization_id"]): (row["good"], row["bad"])
        for view in _RATES
        for row in await clickhouse.query(
            f"SELECT organization_id, sum(successful) AS good, sum(failed) AS bad FROM {view} GROUP BY organization_id"
        )
    }


async def the_audit_is_evidence(clients: KafkaClients, topics: Topics, webhook_id: str) -> None:
    """Who did what with which webhook outlives both; what was in the webhook does not."""
    values = [each.value for each in await consume_all(clients, topics.audit) if each.key == webhook_id.encode()]
    records = [read_audit_record(value) for value in values]
    assert [(each.entry.action, each.entry.by.name) for each in records] == [
        ("created", f"Ada {MARKER}"),
        ("deleted", "Dispatcher"),
    ]
    assert {each.webhook_name for each in records} == {f"Tickets of {MARKER}"}
    assert not [value for value in values if f"{MARKER}.example".encode() in value or f'"{MARKER}"'.encode() in value]
