"""Reading a compacted topic of one partition: from its beginning to its end, and then whatever comes.

Every reader reads everything, so there is no consumer group and nothing to commit.
"""

import asyncio
import gc
import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from dispatcher.errors import ConfigurationError
from dispatcher.kafka.clients import KafkaClients

# Taking over a record may cost tens of microseconds, and whatever shares the event loop waits for a whole batch.
_BATCH_RECORDS = 100
_POLL_MS = 1_000

# A broker answers a connection's requests in turn: a question about the topic's end waits for the fetch before it, but
# on a connection of its own. Each fetch costs both sides, though nothing happens.
_FETCH_WAIT_MS = 500
_PAUSE_AFTER_ERROR_SECONDS = 1.0

# A broker may not have heard yet of a topic that was created a moment ago.
_PATIENCE_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 0.05

log = structlog.get_logger()


class NoLongerFollowing(Exception):
    """The reader was stopped, or never started, so that what is waited for will not be read."""


async def read_once(clients: KafkaClients, topic: str, apply: Callable[[ConsumerRecord], None]) -> None:
    """Call ``apply`` with each record that a topic holds at the call, in the log's order.

    Raises:
        KafkaUnavailable: no broker answers.
        ConfigurationError: there is no such topic.
    """
    reader = CompactedTopic(clients, topic, apply)
    try:
        await reader.start()
    finally:
        await reader.stop()


class CompactedTopic:
    """Calls ``apply`` with each record of a topic, in the log's order.

    ``apply`` deals with what it cannot understand; what it raises ends the reader. ``often_asked``: somebody waits for
    ``catch_up`` whenever a page is looked at.
    """

    def __init__(
        self,
        clients: KafkaClients,
        topic: str,
        apply: Callable[[ConsumerRecord], None],
        *,
        often_asked: bool = False,
    ) -> None:
        self.topic = topic
        self.next_offset = 0
        """The position up to which the topic has been read."""
        self._clients = clients
        self._apply = apply
        self._often_asked = often_asked
        self._partition = TopicPartition(topic, 0)
        self._consumer: AIOKafkaConsumer | None = None
        self._asking: AIOKafkaConsumer | None = None
        self._following: asyncio.Task[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._number = count()

    async def start(self) -> None:
        """Return when everything has been read that the topic held at the call; reading goes on in the background.

        Raises:
            KafkaUnavailable: no broker answers.
            ConfigurationError: there is no such topic.
        """
        consumer = self._clients.consumer(fetch_max_wait_ms=_FETCH_WAIT_MS)
        asking = self._clients.consumer() if self._often_asked else consumer
        try:
            with _objects_that_stay():
                await self._read_to_the_end(consumer)
            if asking is not consumer:
                await asking.start()
        except (KafkaError, OSError) as error:
            await _stop(consumer, asking)
            raise self._clients.unavailable(error) from error
        except BaseException:
            await _stop(consumer, asking)
            raise
        self._consumer, self._asking = consumer, asking
        self._ended = asyncio.get_running_loop().create_future()
        self._following = asyncio.create_task(self._follow(consumer))
        self._following.add_done_callback(self._end)

    async def reached(self, offset: int) -> None:
        """Return when every record before ``offset`` has been read.

        Raises:
            NoLongerFollowing: the reader ended before.
        """
        if self.next_offset >= offset:
            return
        if self._following is None or self._following.done():
            raise NoLongerFollowing(f"{self.topic} is not being read")
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (offset, next(self._number), reached))
        await reached

    async def catch_up(self) -> None:
        """Return when everything has been read that the topic held at the call.

        Raises:
            KafkaUnavailable: no broker answers.
            NoLongerFollowing: the reader ended before.
        """
        if self._asking is None:
            raise NoLongerFollowing(f"{self.topic} is not being read")
        try:
            ends = await self._asking.end_offsets([self._partition])
        except KafkaError as error:
            raise self._clients.unavailable(error) from error
        await self.reached(ends[self._partition])

    async def wait(self) -> None:
        """Run until the reader ends; raise what ended it, unless that was ``stop``."""
        if self._ended is None:
            raise NoLongerFollowing(f"{self.topic} is not being read")
        await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """Stop reading; whoever waits for an offset is told that it will not come."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        if self._consumer is not None and self._asking is not None:
            consumer, asking = self._consumer, self._asking
            self._consumer = self._asking = None
            await _stop(consumer, asking)

    async def _read_to_the_end(self, consumer: AIOKafkaConsumer) -> None:
        await consumer.start()
        await self._find(consumer)
        end = (await consumer.end_offsets([self._partition]))[self._partition]
        consumer.assign([self._partition])
        await consumer.seek_to_beginning(self._partition)
        while await consumer.position(self._partition) < end:
            await self._read(consumer)
        self.next_offset = max(self.next_offset, end)

    async def _find(self, consumer: AIOKafkaConsumer) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                known: set[str] = await consumer.topics()
                while self.topic not in known:
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                    known = await consumer.topics()
        except TimeoutError:
            raise ConfigurationError(
                f"the topic {self.topic} does not exist; run `dispatcher topics apply` first"
            ) from None

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            try:
                await self._read(consumer)
            except KafkaError as error:
                log.warning("reading goes on in a moment", topic=self.topic, error=repr(error))
                await asyncio.sleep(_PAUSE_AFTER_ERROR_SECONDS)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        batches = await consumer.getmany(self._partition, timeout_ms=_POLL_MS, max_records=_BATCH_RECORDS)
        records: Sequence[ConsumerRecord] = batches.get(self._partition, ())
        for record in records:
            self._apply(record)
            self.next_offset = record.offset + 1
        while self._waiting and self._waiting[0][0] <= self.next_offset:
            _, _, reached = heapq.heappop(self._waiting)
            if not reached.done():
                reached.set_result(None)
        # With records at hand, getmany returns without letting anybody else run.
        await asyncio.sleep(0)

    def _end(self, following: asyncio.Task[None]) -> None:
        error = None if following.cancelled() else following.exception()
        for _, _, reached in self._waiting:
            if not reached.done():
                reached.set_exception(NoLongerFollowing(f"{self.topic} is no longer read"))
        self._waiting.clear()
        if self._ended is not None and not self._ended.done():
            if error is None:
                self._ended.set_result(None)
            else:
                # Logged by whoever waits, once and with its traceback.
                error.add_note(f"while {self.topic} was read")
                self._ended.set_exception(error)


async def _stop(*consumers: AIOKafkaConsumer) -> None:
    for consumer in set(consumers):
        await consumer.stop()


@contextmanager
def _objects_that_stay() -> Iterator[None]:
    """Keeps the garbage collector away from what is read at the start, then and later.

    A hundred thousand webhooks are millions of objects that stay. Looking through all of them, again and again while
    they are read and now and then for ever after, would hold up the event loop for most of a second each time.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
