"""Writing many records to known partitions: gathered into batches here, which costs less than a send for each.

``AIOKafkaProducer.send`` begins a request as soon as the one before has been answered, however few records wait. What
can wait some milliseconds costs the client and the broker a part of that when it waits for others.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError, UnknownTopicOrPartitionError
from aiokafka.producer.message_accumulator import BatchBuilder

from dispatcher.kafka.clock import BrokerClock

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
"""What a broker answers that will never take a batch: sent again, it is as large as before."""


class RecordTooLarge(ValueError):
    """A record is larger than its topic takes."""


async def know_partition(producer: AIOKafkaProducer, topic: str, partition: int) -> None:
    """Have a producer know of a partition, which may have been added since it last asked for the topic's.

    Raises:
        UnknownTopicOrPartitionError: the broker does not know of it.
    """
    if partition not in await producer.partitions_for(topic):
        await producer.client.force_metadata_update()
        if partition not in await producer.partitions_for(topic):
            raise UnknownTopicOrPartitionError


class Stored(NamedTuple):
    """Where a record is, and when the broker stored it (milliseconds since the epoch)."""

    offset: int
    timestamp: int


Told = Callable[[Stored | Exception], None]
"""Told what became of a record: where it is stored, or the error with which its batch was not."""


@dataclass(slots=True, eq=False)
class _Batch:
    builder: BatchBuilder
    told: list[Told] = field(default_factory=list)


class BatchingProducer:
    """Sends what is given within ``linger`` seconds; ``producer`` is started and stopped by whoever made it.

    ``sent`` is told of how many records each batch is, and ``clock`` what each that was stored tells of the time.
    """

    def __init__(
        self,
        producer: AIOKafkaProducer,
        linger: float,
        sent: Callable[[int], None] = lambda _: None,
        clock: BrokerClock | None = None,
    ) -> None:
        self._producer = producer
        self._clock = clock
        self._linger = linger
        self._sent = sent
        self._open: dict[tuple[str, int], _Batch] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._flushing: asyncio.TimerHandle | None = None

    def send(
        self,
        topic: str,
        partition: int,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
    ) -> asyncio.Future[Stored]:
        """What becomes of a record: where it is stored, or the error with which its batch was not.

        That is ``RecordTooLarge`` of one that was alone in its batch.
        """
        acknowledged: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self.put(topic, partition, partial(_settle, acknowledged), key=key, value=value, headers=headers)
        return acknowledged

    def put(
        self,
        topic: str,
        partition: int,
        told: Told,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
    ) -> None:
        """Send a record, and have ``told`` called with what became of it, as ``send`` returns it."""
        batch = self._open.get((topic, partition))
        if batch is None or batch.builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
            if batch is not None:
                self._send(topic, partition, batch)
            batch = self._open[topic, partition] = _Batch(self._producer.create_batch())
            batch.builder.append(timestamp=None, key=key, value=value, headers=headers)
        batch.told.append(told)
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(self._linger, self._flush)

    def _flush(self) -> None:
        self._flushing = None
        batches, self._open = self._open, {}
        for (topic, partition), batch in batches.items():
            self._send(topic, partition, batch)

    def _send(self, topic: str, partition: int, batch: _Batch) -> None:
        task = asyncio.create_task(self._until_answered(topic, partition, batch))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _until_answered(self, topic: str, partition: int, batch: _Batch) -> None:
        batch.builder.close()
        self._sent(len(batch.told))
        began = self._clock.elapsed() if self._clock is not None else None
        try:
            await know_partition(self._producer, topic, partition)
            stored = await (await self._producer.send_batch(batch.builder, topic, partition=partition))
        except Exception as error:  # noqa: BLE001 - whatever it was, those who wait have to hear of it
            if isinstance(error, TOO_LARGE) and len(batch.told) == 1:
                error = RecordTooLarge(f"the record is {batch.builder.size()} bytes, more than {topic} takes")
            for told in batch.told:
                told(error)
        else:
            if self._clock is not None:
                self._clock.learn(stored.timestamp, began)
            for number, told in enumerate(batch.told):
                told(Stored(stored.offset + number, stored.timestamp))


def _settle(acknowledged: asyncio.Future[Stored], result: Stored | Exception) -> None:
    if acknowledged.done():
        return
    if isinstance(result, Exception):
        acknowledged.set_exception(result)
        acknowledged.exception()  # Known, even if nobody waits: not everything is worth a second try.
    else:
        acknowledged.set_result(result)
