"""The relay: hands attempts that wait in the retry topics to the senders when they come due.

All records of a retry topic wait equally long from the broker's stamp on, so each partition is in due order. A
partition of which records are held back is paused: what is held is bounded by one fetch, however long the topic is.
"""

import asyncio
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from dispatcher.delivery.pace import Pace
from dispatcher.delivery.waiting import WaitingRecords
from dispatcher.durations import format_duration, milliseconds_of
from dispatcher.kafka.administration import connected
from dispatcher.kafka.batching import BatchingProducer, Stored
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.clock import BrokerClock
from dispatcher.kafka.dead_letters import Record
from dispatcher.kafka.fetching import fetch_promptly
from dispatcher.kafka.groups import Group
from dispatcher.kafka.topics import Topics
from dispatcher.observability.metrics import REBALANCES, RETRIES_RELAYED, RETRY_LATENESS_SECONDS

log = structlog.get_logger()

# Long enough to cost nothing, short enough that a clock that jumps forward is noticed soon.
_LONGEST_POLL_MS = 500
_FETCH_BYTES = 512 * 1024
_RETRY_PRODUCE_SECONDS = 0.5

_ASKING = b"clock"
"""The key of a record without a value, which is there to be stamped: it waits, and is not handed over."""


class Relay:
    """The role."""

    name = "relay"

    def __init__(self, clients: KafkaClients, topics: Topics, *, clock: BrokerClock | None = None) -> None:
        self._clients = clients
        self._topics = topics
        self._clock = clock or BrokerClock()
        self._pace = Pace()
        self._delays: dict[str, timedelta] = {}
        self._waiting: dict[TopicPartition, WaitingRecords[Record]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Join the group.

        Raises:
            KafkaUnavailable: no broker answers.
        """
        self._delays = await self._existing()
        if not self._delays:
            return  # a schedule of a single attempt has nothing to wait for
        self._producer: AIOKafkaProducer = self._clients.producer()
        self._consumer: AIOKafkaConsumer = self._clients.consumer(
            group=self._topics.group(Group.RELAY),
            member=self._clients.membership(self.name),
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        self._consumer.subscribe(list(self._delays), listener=_Rebalance(self))
        try:
            await self._producer.start()
            await self._consumer.start()
            fetch_promptly(self._consumer)
        except BaseException:
            await self._consumer.stop()
            await self._producer.stop()
            raise
        # All that is due together is given together: it waits for nothing else.
        self._batches = BatchingProducer(self._producer, linger=0, clock=self._clock)
        self._task = asyncio.create_task(self._run(), name="relay")

    async def _existing(self) -> dict[str, timedelta]:
        """The retry topics that there are, and their delays: attempts may wait in those of an earlier schedule too."""
        async with connected(self._clients) as admin:
            names = await admin.list_topics()
        return {name: delay for name in names if (delay := self._topics.retry_delay(name))}

    async def wait(self) -> None:
        """Run until the relay ends by itself."""
        with suppress(asyncio.CancelledError):
            await (self._task or asyncio.Event().wait())

    async def stop(self) -> None:
        """Leave the group; what was handed over and not committed is handed over again, and skipped by the sender."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        await self._consumer.stop()
        await self._producer.stop()

    async def _run(self) -> None:
        while True:
            batches = await self._consumer.getmany(timeout_ms=self._poll_ms())
            for tp, records in batches.items():
                self._hold(tp, records)
            if not self._clock.confirmed and any(self._waiting.values()):
                await self._ask_the_time()
            await self._hand_over()
            self._pause_those_that_wait()

    def _poll_ms(self) -> int:
        due = min((w.next_due for w in self._waiting.values() if w.next_due is not None), default=None)
        return _LONGEST_POLL_MS if due is None else min(max(due - self._clock.now(), 0), _LONGEST_POLL_MS)

    def _hold(self, tp: TopicPartition, records: Sequence[Record]) -> None:
        waiting = self._waiting.get(tp)
        if waiting is None:
            return  # revoked meanwhile
        for record in records:
            waiting.add(record.timestamp, record)
        # A machine that is behind would keep everything waiting, and be told of it only when it hands something over.
        self._clock.at_least(records[-1].timestamp)

    async def _ask_the_time(self) -> None:
        """Learn the broker's time from a record of our own: by a machine that is ahead everything would be due."""
        shortest = min(self._delays, key=self._delays.__getitem__)
        while not self._clock.confirmed:
            began = self._clock.elapsed()
            try:
                stored = await self._producer.send_and_wait(shortest, key=_ASKING)
            except KafkaError as error:
                log.warning("Kafka does not tell the time; trying again", error=str(error))
                await asyncio.sleep(_RETRY_PRODUCE_SECONDS)
            else:
                self._clock.learn(stored.timestamp, began)

    async def _hand_over(self) -> None:
        due = self._take_due()
        if not due:
            return
        await self._send([(tp, record) for tp, taken in due.items() for _, record in taken if not _asks(record)])
        now = self._clock.now()
        for tp, taken in due.items():
            relayed = RETRIES_RELAYED.labels(format_duration(self._delays[tp.topic]))
            for came_due, record in taken:
                if not _asks(record):
                    relayed.inc()
                    RETRY_LATENESS_SECONDS.observe(max(now - came_due, 0) / 1000)
        await self._commit({tp: taken[-1][1].offset + 1 for tp, taken in due.items()})

    def _take_due(self) -> dict[TopicPartition, list[tuple[int, Record]]]:
        now = self._clock.now()
        return {tp: taken for tp, waiting in self._waiting.items() if (taken := waiting.take_due(now))}

    def _pause_those_that_wait(self) -> None:
        assigned, paused = self._consumer.assignment(), self._consumer.paused()
        for tp, waiting in self._waiting.items():
            if tp in assigned and bool(waiting) != (tp in paused):
                (self._consumer.pause if waiting else self._consumer.resume)(tp)

    async def _send(self, records: Iterable[tuple[TopicPartition, Record]]) -> None:
        left = list(records)
        while left:
            results = await asyncio.gather(*(self._sent(tp, record) for tp, record in left), return_exceptions=True)
            errors = [result for result in results if isinstance(result, BaseException)]
            left = [item for item, result in zip(left, results, strict=True) if isinstance(result, BaseException)]
            if left:
                log.warning("Kafka does not take attempts that came due; trying again", error=str(errors[0]))
                await asyncio.sleep(_RETRY_PRODUCE_SECONDS)

    def _sent(self, tp: TopicPartition, record: Record) -> asyncio.Future[Stored]:
        return self._batches.send(
            self._topic_for(record),
            # The partition of the attempt before: its sender knows what was made of this message.
            tp.partition,
            key=record.key,
            # Not a delivery without both, which the sender tells.
            value=record.value if record.key is not None else record.value or b"",
            headers=list(record.headers),
        )

    def _topic_for(self, record: Record) -> str:
        much = record.key is not None and self._pace.exceeded(record.key.decode(errors="replace"), time.monotonic())
        return self._topics.bulk if much else self._topics.deliveries

    async def _commit(self, offsets: dict[TopicPartition, int]) -> None:
        assigned = self._consumer.assignment()
        still_ours = {tp: offset for tp, offset in offsets.items() if tp in assigned}
        if not still_ours:
            return
        try:
            await self._consumer.commit(still_ours)
        except (KafkaError, IllegalStateError) as error:
            log.debug("offsets not committed; what was handed over comes again", error=str(error))

    def assigned(self, tps: Collection[TopicPartition]) -> None:
        """Begin with these partitions, and forget all others."""
        self._waiting = {tp: WaitingRecords(milliseconds_of(self._delays[tp.topic])) for tp in tps}
        REBALANCES.labels(self.name).inc()

    def revoked(self) -> None:
        """Let go of everything that waits: whoever has the partitions next reads it again."""
        self._waiting = {}


def _asks(record: Record) -> bool:
    return record.key == _ASKING and record.value is None


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def on_partitions_revoked(self, _revoked: Collection[TopicPartition]) -> None:
        self._relay.revoked()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._relay.assigned(assigned)
