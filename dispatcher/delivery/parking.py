"""Parking: attempts that would wait long go to ``webhooks.parked`` as they are, in batches; that is no attempt."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from dispatcher.delivery.record import Headers
from dispatcher.kafka.batching import know_partition
from dispatcher.observability.metrics import PARKED

log = structlog.get_logger()

# A bad target sends thousands away within a second, and each costs everybody else what it costs: a record that waits
# for others costs a tenth of one that goes alone.
_LINGER_SECONDS = 0.01
_TRY_AGAIN_SECONDS = 0.5
_MOVING_AT_MOST = 5_000
_MOVING_BYTES = 64 * 1024 * 1024


@dataclass(slots=True, eq=False)
class _Batch:
    builder: BatchBuilder
    parked: list[Callable[[], None]] = field(default_factory=list)
    bytes: int = 0


class Parking:
    """Writes records to ``topic``; ``producer`` is started and stopped by whoever made it."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._open: dict[int, _Batch] = {}
        self._flushing: asyncio.TimerHandle | None = None
        self._moving = 0
        self._moving_bytes = 0
        self.tasks: set[asyncio.Task[None]] = set()
        """Those that end when the broker has what was sent."""

    def park(self, partition: int, key: bytes, value: bytes, headers: Headers, parked: Callable[[], None]) -> None:
        """Move a record to this partition; ``parked`` is called when the broker has it, however long that takes."""
        batch = self._open.get(partition)
        if batch is None or not _append(batch, key, value, headers):
            if batch is not None:
                self._send(partition, batch)
            batch = self._open[partition] = _Batch(self._producer.create_batch())
            _append(batch, key, value, headers)
        batch.parked.append(parked)
        batch.bytes += len(value)
        self._moving += 1
        self._moving_bytes += len(value)
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(_LINGER_SECONDS, self.flush)

    def flush(self) -> None:
        """Send what waits for others."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        batches, self._open = self._open, {}
        for partition, batch in batches.items():
            self._send(partition, batch)

    async def room(self) -> None:
        """Wait while very many are on their way."""
        while self._moving > _MOVING_AT_MOST or self._moving_bytes > _MOVING_BYTES:
            self.flush()
            await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)

    def _send(self, partition: int, batch: _Batch) -> None:
        task = asyncio.create_task(self._until_acknowledged(partition, batch))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _until_acknowledged(self, partition: int, batch: _Batch) -> None:
        batch.builder.close()
        while True:
            try:
                await know_partition(self._producer, self._topic, partition)
                await (await self._producer.send_batch(batch.builder, self._topic, partition=partition))
            except KafkaError as error:
                log.warning("Kafka does not take what is to be parked; trying again", error=str(error))
                await asyncio.sleep(_TRY_AGAIN_SECONDS)
            else:
                break
        self._moving -= len(batch.parked)
        self._moving_bytes -= batch.bytes
        PARKED.inc(len(batch.parked))
        for parked in batch.parked:
            parked()


def _append(batch: _Batch, key: bytes, value: bytes, headers: Headers) -> bool:
    return batch.builder.append(timestamp=None, key=key, value=value, headers=headers) is not None
