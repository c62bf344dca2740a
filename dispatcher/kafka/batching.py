"""Writing many records to known partitions: gathered into batches here, which costs less than a send for each.

``AIOKafkaProducer.send`` begins a request as soon as the one before has been answered, however few records wait. What
can wait some milliseconds costs the client and the broker a part of that when it waits for others.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError, UnknownTopicOrPartitionError
from aiokafka.producer.message_accumulator import BatchBuilder

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


@dataclass(slots=True, eq=False)
class _Batch:
    builder: BatchBuilder
    acknowledged: list[asyncio.Future[Stored]] = field(default_factory=list)


class BatchingProducer:
    """Sends what is given within ``linger`` seconds; ``producer`` is started and stopped by whoever made it.

    ``sent`` is told of how many records each batch is.
    """

    def __init__(self, producer: AIOKafkaProducer, linger: float, sent: Callable[[int], None] = lambda _: None) -> None:
        self._producer = producer
        self._linger = linger
        self._sent = sent
        self._open: dict[tuple[str, int], _Batch] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._flushing: asyncio.TimerHandle | None = None

    def send(
        self, topic: str, partition: int, *, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]
    ) -> asyncio.Future[Stored]:
        """What becomes of a record: where it is stored, or the error with which its batch was not.

        That is ``RecordTooLarge`` of one that was alone in its batch.
        """
        batch = self._open.get((topic, partition))
        if batch is None or batch.builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
            if batch is not None:
                self._send(topic, partition, batch)
            batch = self._open[topic, partition] = _Batch(self._producer.create_batch())
            batch.builder.append(timestamp=None, key=key, value=value, headers=headers)
        loop = asyncio.get_running_loop()
        if self._flushing is None:
            self._flushing = loop.call_later(self._linger, self._flush)
        acknowledged: asyncio.Future[Stored] = loop.create_future()
        batch.acknowledged.append(acknowledged)
        return acknowledged

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
        self._sent(len(batch.acknowledged))
        try:
            await know_partition(self._producer, topic, partition)
            stored = await (await self._producer.send_batch(batch.builder, topic, partition=partition))
        except Exception as error:  # noqa: BLE001 - whatever it was, those who wait have to hear of it
            if isinstance(error, TOO_LARGE) and len(batch.acknowledged) == 1:
                error = RecordTooLarge(f"the record is {batch.builder.size()} bytes, more than {topic} takes")
            for acknowledged in batch.acknowledged:
                if not acknowledged.done():
                    acknowledged.set_exception(error)
                    acknowledged.exception()  # Known, even if nobody waits: not everything is worth a second try.
        else:
            for number, acknowledged in enumerate(batch.acknowledged):
                if not acknowledged.done():
                    acknowledged.set_result(Stored(stored.offset + number, stored.timestamp))
