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
from aiokafka.structs import BrokerMetadata, PartitionMetadata

from dispatcher.kafka.fetching import fetch_evenly

PATIENTLY_MS = 500
WANTED, BULK = "wanted", "bulk"
PARTITIONS = [TopicPartition(topic, number) for topic in (WANTED, BULK) for number in range(2)]


class Asking:
    """A fetcher of four partitions that asks nobody by itself; of two brokers, each leads one of each topic."""

    def __init__(self) -> None:
        cluster = ClusterMetadata()
        cluster._brokers = {node: BrokerMetadata(node, "localhost", 9092, None) for node in range(2)}
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

    def has_asked(self, *nodes: int) -> None:
        """These brokers have not answered yet, and no others."""
        self.fetcher._in_flight = set(nodes)

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


async def test_whoever_has_answered_is_asked_again_when_the_records_have_been_taken_or_after_a_moment(
    asking: Asking,
) -> None:
    of_0, of_1 = PARTITIONS[::2], PARTITIONS[1::2]
    asking.has_asked(0, 1)
    assert asking.asks() == []
    asking.has_asked(1)
    asking.holds(of_0[0], backoff=60)
    assert asking.asks() == []
    asking.holds(of_0[0], backoff=0)
    assert asking.asks() == [(0, {of_0[1]}, 3)]
    asking.fetcher._records.clear()
    assert asking.asks() == [(0, set(of_0), PATIENTLY_MS)]
    asking.has_asked(0)
    assert asking.asks() == [(1, set(of_1), PATIENTLY_MS)]


async def test_brokers_that_all_have_a_request_are_looked_at_without_their_partitions(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking.has_asked(0)
    asking.holds(PARTITIONS[1], backoff=60)
    monkeypatch.setattr(asking.assignment, "state_value", None)
    requests, resets, seconds, outdated, paused = asking.fetcher._get_actions_per_node(asking.assignment)
    assert (requests, resets, outdated, paused) == ([], {}, False, [])
    assert 50 < seconds <= 60
