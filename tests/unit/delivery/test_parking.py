"""Parking against a producer that takes batches, or does not."""

import asyncio
from functools import partial
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError
from aiokafka.producer.message_accumulator import BatchBuilder

from dispatcher.delivery import parking
from dispatcher.delivery.parking import Parking
from tests.support.waiting import eventually

BATCH_BYTES = 10_000


class Producer:
    """Remembers batches; refuses as often as told."""

    def __init__(self, refuses: int = 0) -> None:
        self.refuses = refuses
        self.batches: list[tuple[str, int, int]] = []
        self.partitions = {0, 1, 2}
        self.client = self
        self.acknowledge = asyncio.Event()
        self.acknowledge.set()

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(BATCH_BYTES, 0)

    async def partitions_for(self, _: str) -> set[int]:
        return self.partitions

    async def force_metadata_update(self) -> None:
        self.partitions.add(max(self.partitions) + 1)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        if self.refuses:
            self.refuses -= 1
            raise KafkaTimeoutError
        self.batches.append((topic, partition, batch.record_count()))
        return asyncio.ensure_future(self.acknowledge.wait())


def parking_with(producer: Producer) -> Parking:
    return Parking(cast("AIOKafkaProducer", producer), "parked")


async def test_records_go_together_to_their_partitions() -> None:
    producer, parked = Producer(), list[int]()
    where = parking_with(producer)
    for number in range(30):
        where.park(number % 3, b"wh", b"body", [("v", b"1")], partial(parked.append, number))
    await eventually(lambda: len(parked) == 30)
    assert sorted(producer.batches) == [("parked", 0, 10), ("parked", 1, 10), ("parked", 2, 10)]
    assert not where.tasks


async def test_a_partition_that_was_added_meanwhile_is_asked_for() -> None:
    producer, parked = Producer(), list[int]()
    where = parking_with(producer)
    where.park(3, b"wh", b"body", [], partial(parked.append, 3))
    await eventually(lambda: parked == [3])
    assert producer.partitions == {0, 1, 2, 3}


async def test_what_does_not_fit_into_a_batch_begins_the_next() -> None:
    producer, parked = Producer(), list[int]()
    where = parking_with(producer)
    for number in range(5):
        where.park(0, b"wh", b"x" * 4_000, [], partial(parked.append, number))
    await eventually(lambda: len(parked) == 5)
    assert sum(count for *_, count in producer.batches) == 5
    assert len(producer.batches) == 3


async def test_nothing_is_parked_before_the_broker_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "_TRY_AGAIN_SECONDS", 0.01)
    producer, parked = Producer(refuses=3), list[int]()
    producer.acknowledge.clear()
    where = parking_with(producer)
    where.park(0, b"wh", b"body", [], lambda: parked.append(1))
    await eventually(lambda: producer.batches)
    assert not parked
    producer.acknowledge.set()
    await eventually(lambda: parked == [1])
    assert producer.batches == [("parked", 0, 1)]


async def test_room_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "_MOVING_AT_MOST", 3)
    producer, parked = Producer(), list[int]()
    producer.acknowledge.clear()
    where = parking_with(producer)
    for number in range(4):
        where.park(0, b"wh", b"body", [], partial(parked.append, number))
    waiting = asyncio.create_task(where.room())
    await eventually(lambda: producer.batches)
    assert not waiting.done()
    producer.acknowledge.set()
    await waiting
    assert parked == [0, 1, 2, 3]
