from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import pytest
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchBuilderPy

from dispatcher.kafka.clients import MAX_RECORD_BYTES, KafkaClients
from dispatcher.kafka.groups import Group
from dispatcher.kafka.topics import Topics
from dispatcher.settings import Settings
from tests.support.kafka import consume, consume_all
from tests.support.waiting import eventually


async def test_the_largest_record_goes_through_producer_and_consumer(clients: KafkaClients, topics: Topics) -> None:
    key, headers = b"wh-1", [("v", b"1")]
    value = b"x" * (MAX_RECORD_BYTES - len(key) - len("v1"))
    async with clients.producer() as producer:
        await producer.send_and_wait(topics.deliveries, value=value, key=key, headers=headers)
    (record,) = await consume(clients, topics.deliveries, 1)
    assert (record.key, record.value, list(record.headers)) == (key, value, headers)


async def test_what_a_topic_holds_is_read_whole(clients: KafkaClients, topics: Topics) -> None:
    assert await consume_all(clients, topics.notices) == []
    async with clients.producer() as producer:
        for number in range(30):
            await producer.send_and_wait(topics.notices, value=b"%d" % number, key=b"%d" % (number % 7))
    # Those of one millisecond and different partitions have no order.
    values = [int(record.value) for record in await consume_all(clients, topics.notices)]
    assert sorted(values) == list(range(30))


class _NotUtf8(str):
    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        return b"\xfftrace\xfe"


@pytest.mark.parametrize("compression", [DefaultRecordBatch.CODEC_NONE, DefaultRecordBatch.CODEC_GZIP])
async def test_a_header_name_that_is_not_utf8_ends_no_reader(
    clients: KafkaClients, topics: Topics, compression: int
) -> None:
    names = ["v", _NotUtf8("x"), "größe", _NotUtf8("x")]
    async with clients.producer() as producer:
        for first in (0, len(names)):
            batch = producer.create_batch()
            batch._builder = _DefaultRecordBatchBuilderPy(2, compression, 0, -1, -1, -1, 64 * 1024)
            for number, name in enumerate(names, first):
                batch.append(timestamp=None, key=None, value=b"%d" % number, headers=[(name, b"\xff"), ("n", None)])
            await (await producer.send_batch(batch, topics.deliveries, partition=0))
    records = await consume_all(clients, topics.deliveries)
    assert [record.value for record in records] == [b"%d" % number for number in range(2 * len(names))]
    shown = ["v", "\ufffdtrace\ufffd", "größe", "\ufffdtrace\ufffd"]
    assert [record.headers for record in records] == [((name, b"\xff"), ("n", None)) for name in shown * 2]


class Assignments(ConsumerRebalanceListener):  # type: ignore[misc]
    """What a member was given, each time."""

    def __init__(self) -> None:
        self.given: list[set[int]] = []

    async def on_partitions_revoked(self, _: Collection[TopicPartition]) -> None:
        pass

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self.given.append({each.partition for each in assigned})


@asynccontextmanager
async def a_member(settings: Settings, topics: Topics, instance: str | None) -> AsyncIterator[Assignments]:
    clients = KafkaClients(settings.model_copy(update={"kafka_group_instance_id": instance}))
    consumer, assignments = (
        clients.consumer(group=topics.group(Group.SENDER), member=clients.membership("sender")),
        Assignments(),
    )
    consumer.subscribe([topics.deliveries], listener=assignments)
    await consumer.start()
    try:
        yield assignments
    finally:
        await consumer.stop()


async def test_a_static_member_comes_back_to_its_partitions_and_nobody_else_is_disturbed(
    settings: Settings, topics: Topics
) -> None:
    everything = {0, 1, 2}
    async with a_member(settings, topics, "a") as staying:
        async with a_member(settings, topics, "b") as before:
            await eventually(lambda: before.given and staying.given[-1] == everything - before.given[-1] != everything)
        rebalances = len(staying.given)
        async with a_member(settings, topics, "b") as after:
            await eventually(lambda: after.given)
            assert after.given == before.given[-1:]
        assert len(staying.given) == rebalances


async def test_a_dynamic_member_hands_over_when_it_stops(settings: Settings, topics: Topics) -> None:
    everything = {0, 1, 2}
    async with a_member(settings, topics, None) as staying:
        async with a_member(settings, topics, None) as leaving:
            await eventually(lambda: leaving.given and staying.given[-1] | leaving.given[-1] == everything)
        await eventually(lambda: staying.given[-1] == everything)
