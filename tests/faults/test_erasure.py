"""Erasing an organization, down to the bytes: nothing of it is left in Kafka's files, nor in ClickHouse's.

What takes days by ``topics.yaml`` takes a second here: the settings of this test's own broker and tables are its hours.
"""

import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest

from dispatcher.delivery.outcome import encode_outcome
from dispatcher.kafka.administration import apply
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.dead_letters import DeadLetters
from dispatcher.kafka.embedded import EmbeddedKafka, broker
from dispatcher.kafka.embedded.configuration import server_properties
from dispatcher.kafka.plan import AlterConfig, Plan
from dispatcher.kafka.topics import Topics, load_topics
from dispatcher.organizations.removal import remove
from dispatcher.portal.app import Portal
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.erasing import TABLES
from dispatcher.recording.recorder import Recorder
from dispatcher.recording.schema import migrate
from dispatcher.settings import Settings
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.store import WebhookStore
from dispatcher.webhooks.vault import Vault
from tests.support.clickhouse import delivery, outcome
from tests.support.kafka import consume_all, create_topics
from tests.support.waiting import eventually
from tests.support.webhooks import a_webhook

pytestmark = pytest.mark.faults_full

US, OTHERS = "org-contoso", "org-others"
MARKER, THEIRS = (f"marker{secrets.token_hex(12)}" for _ in range(2))
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
    """Something of an organization in each of Kafka's topics that the portal does not fill."""
    about = {"organization_id": organization, "webhook_id": webhook_id, "request_url": f"https://t.test/{marker}"}
    made = delivery(f"m-{marker}", NOW - 5_000, body=marker.encode())
    headers = [(name, organization.encode() if name == "organization" else value) for name, value in made.headers()]
    row = encode_outcome(outcome(f"m-{marker}", 1, "failed", at=NOW, response_body=marker, **about))
    key, event_topic = webhook_id.encode(), next(iter(topics.events.values()))
    async with clients.producer() as producer:
        for name in (*topics.to_send, *topics.retry.values()):
            await producer.send_and_wait(name, made.body, key=key, headers=headers)
        await producer.send_and_wait(topics.attempts, row, key=key)
        await producer.send_and_wait(topics.notices, marker.encode(), key=key)
        await producer.send_and_wait(topics.resources, marker.encode(), key=f"{organization}/alert/1".encode())
        await producer.send_and_wait(event_topic, marker.encode(), key=organization.encode())
        (event,) = [each for each in await consume_all(clients, event_topic) if each.value == marker.encode()]
        await (await DeadLetters(producer, topics.dead_letter).send(event, marker))


def holding(directory: Path, *needles: bytes) -> set[str]:
    """The directories below, Kafka's partitions or ClickHouse's tables, of which a file holds one of the needles."""
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
    await clickhouse.command("ALTER TABLE message_bodies MODIFY COLUMN body String CODEC(NONE)")
    await clickhouse.command("ALTER TABLE attempt_details MODIFY COLUMN response_body String CODEC(NONE)")
    for table in TABLES:
        await clickhouse.command(f"ALTER TABLE {table} MODIFY SETTING {_QUICK_PARTS}")
    for role in (Recorder(clients, topics, clickhouse), Portal(settings, clients, topics, follower, vault, clickhouse)):
        await role.start()
        stack.push_async_callback(role.stop)

    producer = await stack.enter_async_context(clients.producer(enable_idempotence=True))
    store = WebhookStore(producer, topics, vault, follower)
    for organization, marker in ((US, MARKER), (OTHERS, THEIRS)):
        webhook = await store.create(a_webhook(f"wh-{organization}", organization_id=organization))
        await fill(clients, topics, organization, webhook.id, marker)
    config = {each.key.decode(): each.value for each in await consume_all(clients, topics.config)}
    ours, theirs = config[f"wh-{US}"][:100], config[f"wh-{OTHERS}"][:100]
    kafka, engine = settings.data_dir / "kafka" / "data", settings.data_dir / "clickhouse"
    if not kafka.exists():
        (kafka,) = [path.parent for path in (settings.data_dir / "kafka").rglob("meta.properties")]

    async def recorded() -> bool:
        return len(holding(engine, MARKER.encode())) >= 2 and len(holding(engine, THEIRS.encode())) >= 2

    await eventually(recorded)
    before = {name.rpartition("-")[0] for name in holding(kafka, MARKER.encode(), ours)}
    assert len(before) == 6 + len(topics.to_send) + len(topics.retry), sorted(before)

    started = monotonic()
    erased = await remove(clients, topics, US, within=30)
    assert erased == {"webhooks": 1, "resources": 1, "messages": 1, "undecipherable": 0}
    told = [f"answered after {monotonic() - started:.1f} s"]
    await eventually(lambda: not holding(engine, MARKER.encode()), timeout=60, every=0.2)
    told.append(f"out of ClickHouse's files after {monotonic() - started:.1f} s")

    compacted = [topics.config, topics.resources]
    await set_topics(clients, compacted, _QUICK_COMPACTION)

    async def compact() -> bool:
        # A segment is closed when something is written after its time.
        await producer.send_and_wait(topics.config, b"filler", key=b"filler", headers=[])
        await producer.send_and_wait(topics.resources, None, key=b"filler/alert/1")
        left = holding(kafka, MARKER.encode(), ours)
        return not any(name.startswith(tuple(compacted)) for name in left)

    await eventually(compact, timeout=60, every=0.3)
    told.append(f"out of the compacted topics {monotonic() - started:.1f} s")
    assert holding(kafka, theirs)
    assert {name for name in holding(kafka, THEIRS.encode()) if name.startswith(topics.resources)}

    await set_topics(clients, [each.name for each in topics.declared if not each.compacted], _QUICK_RETENTION)
    await eventually(lambda: not holding(kafka, MARKER.encode(), ours), timeout=60, every=0.3)
    told.append(f"out of the others, their retention being over, {monotonic() - started:.1f} s")
    assert len(holding(engine, THEIRS.encode())) >= 2
    sys.stderr.write(f"\nerased: {'; '.join(told)}\n")
