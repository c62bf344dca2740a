"""The outbox: what an event leads to, written to Kafka in rounds, and only then the event is done.

While one round is being acknowledged by the broker, the next one fills. Rounds end in the order in which they were
filled, so that an event is done only when everything that was put in before it is with the broker too. A round is
sent when it is full, when nobody has more to put in (``push``), or after ``LINGER_SECONDS``, so that nothing
depends on somebody coming back to push it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from dispatcher.delivery.record import Headers
from dispatcher.kafka.batching import TOO_LARGE
from dispatcher.kafka.dead_letters import DeadLetters, Record
from dispatcher.kafka.partitioning import partition_of
from dispatcher.observability.metrics import BATCH_RECORDS

ROUND_RECORDS = 2_000
"""At most this many records wait together for the broker's acknowledgement."""

ROUND_EVENTS = 500
"""At most this many events wait together to be done."""

ROUND_BYTES = 4 * 1024 * 1024
"""A round takes no more once its records come to this size; one record may exceed it."""

BATCH_BYTES = 64 * 1024
"""What ``max_batch_size`` of the outbox's producer should be: a request to one partition."""

LINGER_SECONDS = 0.005
FIRST_RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 5.0

log = structlog.get_logger()

Done = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Records of one partition; ``first`` is the event that the first of them follows from."""

    builder: BatchBuilder
    first: Record


class _Round:
    """Records that wait together, by topic and partition, and what to call when the broker has them all."""

    __slots__ = ("batches", "done", "letters", "records", "size")

    def __init__(self) -> None:
        self.batches: defaultdict[tuple[str, int], list[_Batch]] = defaultdict(list)
        self.letters: list[tuple[Record, str]] = []
        self.done: list[Done] = []
        self.records = 0
        self.size = 0

    @property
    def empty(self) -> bool:
        return not self.records and not self.done

    @property
    def full(self) -> bool:
        return self.records >= ROUND_RECORDS or len(self.done) >= ROUND_EVENTS or self.size >= ROUND_BYTES


class Outbox:
    """Writes records and tells when they are with the broker; one writer, in its event loop.

    ``run`` does the sending and must be running for ``put`` to go on for ever.
    """

    def __init__(self, producer: AIOKafkaProducer, dead_letters: DeadLetters) -> None:
        self._producer = producer
        self._dead_letters = dead_letters
        self._partitions: dict[str, int] = {}
        self._sizes = BATCH_RECORDS.labels("matcher")
        self._round = _Round()
        self._begun = asyncio.Event()
        self._pushed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def open(self, *topics: str) -> None:
        """Learn how many partitions the topics have, which ``put`` needs."""
        for topic in topics:
            self._partitions[topic] = len(await self._producer.partitions_for(topic))

    @property
    def has_room(self) -> bool:
        """Whether ``put`` may be called without waiting for ``room``."""
        return self._room.is_set()

    async def room(self) -> None:
        """Wait until the round that is being filled takes more."""
        await self._room.wait()

    def put(self, topic: str, webhook_id: str, value: bytes, headers: Headers, event: Record) -> None:
        """Add a record to the round, whether it has room or not; ``event`` is what it follows from."""
        key = webhook_id.encode()
        batches = self._round.batches[topic, partition_of(webhook_id, self._partitions[topic])]
        if not batches or not self._append(batches[-1].builder, key, value, headers):
            batches.append(_Batch(self._producer.create_batch(), event))
            self._append(batches[-1].builder, key, value, headers)
        self._added(len(value))

    def put_dead_letter(self, record: Record, reason: str) -> None:
        """Add a record that could not be understood to the round."""
        self._round.letters.append((record, reason))
        self._added(len(record.value or b""))

    def done(self, call: Done, size: int) -> None:
        """Have ``call``, which holds ``size`` bytes in memory, called when the broker has all that was put in."""
        self._round.done.append(call)
        self._round.size += size
        self._begun.set()
        if self._round.full:
            self._close()

    def push(self) -> None:
        """Nothing follows soon: send what is there."""
        if not self._round.empty:
            self._pushed.set()

    async def run(self) -> None:
        """Send rounds until cancelled; what the broker does not take is sent again until it does."""
        while True:
            await self._begun.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_SECONDS):
                    await self._pushed.wait()
            current, self._round = self._round, _Round()
            self._begun.clear()
            self._pushed.clear()
            self._room.set()
            self._sizes.observe(current.records)
            await self._send(current)
            for call in current.done:
                call()
            self._notice_new_partitions()

    def _notice_new_partitions(self) -> None:
        for topic in self._partitions:
            partitions = self._producer.client.cluster.partitions_for_topic(topic)
            if partitions:
                self._partitions[topic] = len(partitions)

    @staticmethod
    def _append(batch: BatchBuilder, key: bytes, value: bytes, headers: Headers) -> bool:
        return batch.append(timestamp=None, key=key, value=value, headers=headers) is not None

    def _added(self, size: int) -> None:
        self._round.records += 1
        self._round.size += size
        self._begun.set()
        if self._round.full:
            self._close()

    def _close(self) -> None:
        self._room.clear()
        self._pushed.set()

    async def _send(self, current: _Round) -> None:
        sending = [self._send_to(topic, partition, batches) for (topic, partition), batches in current.batches.items()]
        sending += [self._send_letter(record, reason) for record, reason in current.letters]
        if len(sending) == 1:
            await sending[0]
            return
        async with asyncio.TaskGroup() as group:
            for each in sending:
                group.create_task(each)

    async def _send_to(self, topic: str, partition: int, batches: list[_Batch]) -> None:
        for batch in batches:
            batch.builder.close()
            for delay in _retry_delays():
                try:
                    await (await self._producer.send_batch(batch.builder, topic, partition=partition))
                except (KafkaError, OSError) as error:
                    # Of several, each is small: that topic is not as it was declared, and what is sent has to wait.
                    if isinstance(error, TOO_LARGE) and batch.builder.record_count() == 1:
                        reason = f"what follows from it is {batch.builder.size()} bytes, more than {topic} takes"
                        await self._send_letter(batch.first, reason)
                        break
                    await _wait_to_retry(topic, error, delay)
                else:
                    break

    async def _send_letter(self, record: Record, reason: str) -> None:
        for delay in _retry_delays():
            try:
                await self._dead_letters.send(record, reason)
            except (KafkaError, OSError) as error:
                await _wait_to_retry("dead letters", error, delay)
            else:
                break


def _retry_delays() -> Iterator[float]:
    delay = FIRST_RETRY_SECONDS
    while True:
        yield delay
        delay = min(2 * delay, LONGEST_RETRY_SECONDS)


async def _wait_to_retry(topic: str, error: Exception, delay: float) -> None:
    log.warning("Kafka does not take records; trying again", topic=topic, error=repr(error), seconds=delay)
    await asyncio.sleep(delay)
