"""Attempts as they happen, for all who watch, while anybody does.

A webhook's first attempts wait in ``webhooks.deliveries`` or ``webhooks.bulk``, and everything later is told in
``webhooks.attempts``, in partitions of the same number. Only partitions with a watched webhook are read, and only what
is about one is parsed: bodies of thousands of deliveries a second pass by as bytes.
"""

import asyncio
import contextlib
from collections import OrderedDict, defaultdict, deque
from collections.abc import AsyncIterator, Callable

import orjson
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from dispatcher.delivery.outcome import unread_format
from dispatcher.delivery.record import read_delivery
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.partitioning import partition_of
from dispatcher.kafka.topics import Topics
from dispatcher.portal.api.attempt_views import AttemptView, view_of_delivery, views_of_outcome

WAITING_OF_WATCHER = 1_000
"""How many rows wait for one who reads slowly; then the oldest are dropped, and their number is said."""

# Outcomes that may be told before the delivery that they are of is read.
_REMEMBERED = 10_000

log = structlog.get_logger()


class Watcher:
    """Somebody who watches a webhook's attempts."""

    def __init__(self) -> None:
        self._rows: deque[AttemptView] = deque()
        self._dropped = 0
        self._something = asyncio.Event()
        self._ended = False

    def put(self, row: AttemptView) -> None:
        """Add a row."""
        if len(self._rows) >= WAITING_OF_WATCHER:
            self._rows.popleft()
            self._dropped += 1
        self._rows.append(row)
        self._something.set()

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._something.set()

    async def take(self, seconds: float) -> tuple[list[AttemptView], int] | None:
        """What came, with how many rows were dropped before; after ``seconds`` nothing; None at the end."""
        if not self._something.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._something.wait(), seconds)
        self._something.clear()
        rows, dropped = list(self._rows), self._dropped
        self._rows.clear()
        self._dropped = 0
        if self._ended:
            self._something.set()
            if not rows:
                return None
        return rows, dropped


class AttemptFeed:
    """What happens to a webhook's messages. ``producer`` knows how many partitions there are."""

    def __init__(self, clients: KafkaClients, topics: Topics, producer: AIOKafkaProducer) -> None:
        self._clients = clients
        self._topics = topics
        self._producer = producer
        self._partitions: dict[int, _PartitionFeed] = {}

    @contextlib.asynccontextmanager
    async def watch(self, webhook_id: str) -> AsyncIterator[Watcher]:
        """A watcher of a webhook, who sees everything that happens from now on.

        Raises:
            KafkaUnavailable: no broker answers.
        """
        try:
            partitions = await self._producer.partitions_for(self._topics.deliveries)
        except KafkaError as error:
            raise self._clients.unavailable(error) from error
        number = partition_of(webhook_id, len(partitions))
        if number not in self._partitions:
            self._partitions[number] = _PartitionFeed(self._clients, self._topics, number)
        async with self._partitions[number].watch(webhook_id) as watcher:
            yield watcher

    async def stop(self) -> None:
        """End every watch."""
        for partition in self._partitions.values():
            await partition.stop()


class _PartitionFeed:
    """Reads one partition without a group, from its end, while there are watchers."""

    def __init__(self, clients: KafkaClients, topics: Topics, number: int) -> None:
        self._clients = clients
        self._waiting = [TopicPartition(name, number) for name in (topics.deliveries, topics.bulk)]
        self._attempts = TopicPartition(topics.attempts, number)
        self._watchers: defaultdict[bytes, set[Watcher]] = defaultdict(set)
        self._told: OrderedDict[str, None] = OrderedDict()
        self._starting = asyncio.Lock()
        self._consumer: AIOKafkaConsumer | None = None
        self._reading: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def watch(self, webhook_id: str) -> AsyncIterator[Watcher]:
        key, watcher = webhook_id.encode(), Watcher()
        self._watchers[key].add(watcher)
        try:
            async with self._starting:
                if self._reading is None:
                    await self._start()
            yield watcher
        finally:
            self._watchers[key].discard(watcher)
            if not self._watchers[key]:
                del self._watchers[key]
            async with self._starting:
                if not self._watchers:
                    await self._stop_reading()

    async def stop(self) -> None:
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.end()
        async with self._starting:
            await self._stop_reading()

    async def _start(self) -> None:
        consumer = self._clients.consumer(auto_offset_reset="latest")
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(consumer.stop)
            try:
                await consumer.start()
                consumer.assign([*self._waiting, self._attempts])
                await consumer.seek_to_end()
                for partition in consumer.assignment():
                    await consumer.position(partition)
            except (KafkaError, OSError) as error:
                raise self._clients.unavailable(error) from error
            stack.pop_all()
        self._consumer = consumer
        self._reading = asyncio.create_task(self._read(consumer))

    async def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
            self._reading = None
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await consumer.stop()
        self._told.clear()

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            try:
                batches = await consumer.getmany(timeout_ms=1_000, max_records=500)
            except KafkaError as error:
                log.warning("watching goes on in a moment", error=repr(error))
                await asyncio.sleep(1)
                continue
            for partition, records in batches.items():
                rows_of = self._rows_of_outcome if partition == self._attempts else self._rows_of_delivery
                for record in records:
                    if record.value is not None and (watchers := self._watchers.get(record.key or b"")):
                        self._hand_out(rows_of, record, watchers)
            # With records at hand, getmany returns without letting anybody else run.
            await asyncio.sleep(0)

    def _hand_out(
        self, rows_of: Callable[[ConsumerRecord], list[AttemptView]], record: ConsumerRecord, watchers: set[Watcher]
    ) -> None:
        try:
            rows = rows_of(record)
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            # Somebody else sends it to the dead letters; here it is only not shown.
            log.debug("a record cannot be shown", topic=record.topic, error=repr(error))
            return
        for watcher in watchers:
            for row in rows:
                watcher.put(row)

    def _rows_of_outcome(self, record: ConsumerRecord) -> list[AttemptView]:
        if reason := unread_format(record.headers):
            raise ValueError(reason)
        rows = views_of_outcome(orjson.loads(record.value))
        self._told[rows[0].id] = None
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return rows

    def _rows_of_delivery(self, record: ConsumerRecord) -> list[AttemptView]:
        if dict(record.headers).get("attempt") != b"1":
            return []  # it follows from the outcome of the attempt before
        row = view_of_delivery(read_delivery(record.key, record.value, record.headers), due_at=record.timestamp)
        # The two topics are read side by side: what became of it may have been told before.
        return [] if row.id in self._told else [row]
