"""What tests of Kafka share: topics under a prefix of their own, and reading what was written."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import yaml
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from dispatcher.kafka.administration import apply
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.plan import Cluster, plan
from dispatcher.kafka.topics import Topics
from dispatcher.settings import default_topics_file

FAST_SCHEDULE = ("0s", "1s", "2s")


class MakeTopics(Protocol):
    """Declares topics under the test's prefix and creates them on its Kafka."""

    async def __call__(
        self, schedule: tuple[str, ...] = FAST_SCHEDULE, partitions: int = 3, event_partitions: int = 2
    ) -> Topics: ...


def write_topics_file(
    path: Path, schedule: Sequence[str] = FAST_SCHEDULE, partitions: int = 3, event_partitions: int = 2
) -> Path:
    """The repo's ``topics.yaml`` with a schedule and numbers of partitions that suit tests."""
    content = yaml.safe_load(default_topics_file().read_text(encoding="utf-8"))
    content["retry"]["schedule"] = list(schedule)
    content["events"]["partitions"] = event_partitions
    content["deliveries"]["partitions"] = partitions
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


async def create_topics(clients: KafkaClients, topics: Topics) -> None:
    """Create what is declared on a cluster that has none of it."""
    await apply(clients, plan(topics, Cluster(brokers=1, topics={})))


async def delete_topics(clients: KafkaClients, topics: Topics) -> None:
    """Ask the cluster to forget them, so that a long run of tests does not fill it."""
    admin = clients.admin()
    await admin.start()
    try:
        await admin.delete_topics([each.name for each in topics.declared], timeout_ms=20_000)
    finally:
        await admin.close()


async def consume(
    clients: KafkaClients, topic: str, count: int, timeout: float = 20, **options: Any
) -> list[ConsumerRecord]:
    """The first ``count`` records of a topic, in the order of their arrival; an AssertionError when there are fewer."""
    records: list[ConsumerRecord] = []
    async with _reader(clients, topic, **options) as consumer:
        try:
            async with asyncio.timeout(timeout):
                while len(records) < count:
                    for batch in (await consumer.getmany(timeout_ms=500)).values():
                        records += batch
        except TimeoutError:
            raise AssertionError(f"{topic} has {len(records)} records after {timeout} s, not {count}") from None
    return sorted(records, key=lambda record: record.timestamp)[:count]


async def consume_all(clients: KafkaClients, topic: str, timeout: float = 20) -> list[ConsumerRecord]:
    """What a topic holds now, in the order of arrival."""
    records: list[ConsumerRecord] = []
    async with _reader(clients, topic) as consumer, asyncio.timeout(timeout):
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                records += batch
    return sorted(records, key=lambda record: record.timestamp)


@asynccontextmanager
async def _reader(clients: KafkaClients, topic: str, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group, of every partition of a topic, from its beginning."""
    consumer = clients.consumer(topic, **options)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def commit_beyond_ends(clients: KafkaClients, group: str, *topics: str) -> None:
    """Have a group without members go on behind the ends of these topics' logs."""
    async with clients.consumer(*topics) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
    async with clients.consumer(group=group) as consumer:
        consumer.assign(list(ends))
        await consumer.commit({tp: end + 50 for tp, end in ends.items()})
