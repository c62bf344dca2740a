"""Attempts as they happen: one reader of ``webhooks.attempts`` for all who watch, while anybody does."""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import AsyncIterator

import orjson
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from dispatcher.kafka.clients import KafkaClients
from dispatcher.portal.api.attempt_views import AttemptView, views_of_outcome

WAITING_OF_WATCHER = 1_000
"""How many rows wait for one who reads slowly; then the oldest are dropped, and their number is said."""

_log = structlog.get_logger(__name__)


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
        if self._ended and not rows:
            self._something.set()
            return None
        return rows, dropped


class AttemptFeed:
    """Reads the topic without a group, from its end, while there are watchers."""

    def __init__(self, clients: KafkaClients, topic: str) -> None:
        self._clients = clients
        self._topic = topic
        self._watchers: defaultdict[bytes, set[Watcher]] = defaultdict(set)
        self._starting = asyncio.Lock()
        self._consumer: AIOKafkaConsumer | None = None
        self._reading: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def watch(self, webhook_id: str) -> AsyncIterator[Watcher]:
        """A watcher of a webhook, who sees everything that is reported from now on.

        Raises:
            KafkaUnavailable: no broker answers.
        """
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
        """End every watch."""
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.end()
        async with self._starting:
            await self._stop_reading()

    async def _start(self) -> None:
        consumer = self._clients.consumer(self._topic, auto_offset_reset="latest")
        try:
            await consumer.start()
            await consumer.seek_to_end()
            for partition in consumer.assignment():
                await consumer.position(partition)
        except (KafkaError, OSError) as error:
            await consumer.stop()
            raise self._clients.unavailable(error) from error
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

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            try:
                batches = await consumer.getmany(timeout_ms=1_000, max_records=500)
            except KafkaError as error:
                _log.warning("watching goes on in a moment", error=repr(error))
                await asyncio.sleep(1)
                continue
            for records in batches.values():
                for record in records:
                    if record.value is not None and (watchers := self._watchers.get(record.key or b"")):
                        self._hand_out(record.value, watchers)
            # With records at hand, getmany returns without letting anybody else run.
            await asyncio.sleep(0)

    def _hand_out(self, value: bytes, watchers: set[Watcher]) -> None:
        try:
            rows = views_of_outcome(orjson.loads(value))
        except (ValueError, KeyError, TypeError) as error:
            # The recorder sends it to the dead letters; here it is only not shown.
            _log.debug("an outcome cannot be shown", error=repr(error))
            return
        for watcher in watchers:
            for row in rows:
                watcher.put(row)
