"""What aiokafka's fetcher is made to ask for, without a broker."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.fetch import FetchRequest_v11
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import PartitionMetadata

from dispatcher.kafka.fetching import fetch_evenly

PATIENTLY_MS = 500
WANTED, BULK = "wanted", "bulk"
PARTITIONS = [TopicPartition(topic, number) for topic in (WANTED, BULK) for number in range(2)]


class Asking:
    """A fetcher of four partitions, that asks nobody by itself: two brokers lead one of each topic."""

    def __init__(self) -> None:
        cluster = ClusterMetadata()
        for tp in PARTITIONS:
            cluster._partitions.setdefault(tp.topic, {})[tp.partition] = PartitionMetadata(
                topic=tp.topic, partition=tp.partition, leader=tp.partition, replicas=[], isr=[], error=None
            )
        subscription = SubscriptionState()
        subscription.assign_from_user(set(PARTITIONS))
        self.assignment = subscription.subscription.assignment
        for tp in PARTITIONS:
            self.assignment.state_value(tp).reset_to(0)
        client = SimpleNamespace(_loop=asyncio.get_running_loop(), _metadata_max_age_ms=60_000, cluster=cluster)
        self.fetcher: Any = Fetcher(client, subscription, fetch_max_wait_ms=PATIENTLY_MS)
        self.fetcher._fetch_task.cancel()
        fetch_evenly(SimpleNamespace(_fetcher=self.fetcher), last=[BULK])

    def holds(self, *tps: TopicPartition, backoff: float = 0) -> None:
        """Records of these partitions have been fetched, and wait to be taken."""
        for tp in tps:
            builder = BatchBuilder(1_000, 0)
            builder.append(timestamp=None, key=None, value=b"x")
            read = PartitionRecords(tp, MemoryRecords(bytes(builder._build())), None, 0, None, None, False, 0)
            self.fetcher._records[tp] = FetchResult(
                tp, assignment=self.assignment, partition_records=read, backoff=backoff
            )

    def asks(self) -> list[tuple[int, set[TopicPartition], int]]:
        """The broker of each request, for which partitions it is, and for how long it may wait there."""
        return [
            (node, set(of(request.topics)), request.build(FetchRequest_v11).max_wait_time)
            for node, request in self.fetcher._get_actions_per_node(self.assignment)[0]
        ]


def of(topics: Iterable[Any]) -> list[TopicPartition]:
    return [TopicPartition(topic, each[0]) for topic, partitions in topics for each in partitions]


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    asking = Asking()
    yield asking
    await asyncio.gather(asking.fetcher._fetch_task, return_exceptions=True)


async def test_a_request_waits_at_the_broker_for_as_long_as_those_bear_it_whose_records_wait_here(
    asking: Asking,
) -> None:
    def waits() -> set[int]:
        return {wait for _, _, wait in asking.asks()}

    assert waits() == {PATIENTLY_MS}
    asking.holds(TopicPartition(BULK, 0), TopicPartition(BULK, 1))
    assert waits() == {10}
    asking.holds(TopicPartition(WANTED, 0))
    assert waits() == {3}
