"""Publishing events as Portal does: checked, to the topic of their type, keyed by their organization."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError

from dispatcher.errors import ConfigurationError, DispatcherError
from dispatcher.events.lines import Line
from dispatcher.events.reading import UnreadableEvent, read_event
from dispatcher.kafka.clients import MAX_RECORD_BYTES, KafkaClients
from dispatcher.kafka.topics import Topics

PATIENCE_SECONDS = 8.0
"""How long a Kafka may take to answer before it counts as away."""

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError)
_TOO_LARGE_REASON = f"the event is larger than a record may be, {MAX_RECORD_BYTES // 1024**2} MiB"

_UNACKNOWLEDGED_RECORDS = 2_000
_UNACKNOWLEDGED_BYTES = 2 * MAX_RECORD_BYTES


class PublishingBroken(DispatcherError):
    """Kafka stopped taking events; the message says how many it has."""


@asynccontextmanager
async def open_producer(clients: KafkaClients, topics: Iterable[str]) -> AsyncIterator[AIOKafkaProducer]:
    """A producer for topics that exist.

    Raises:
        KafkaUnavailable: no broker answers within ``PATIENCE_SECONDS``.
        ConfigurationError: a topic does not exist.
    """
    producer = clients.producer(request_timeout_ms=round(PATIENCE_SECONDS * 1000), linger_ms=5)
    try:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await producer.start()
                known = (await producer.client.fetch_all_metadata()).topics()
        except (KafkaError, OSError) as error:
            raise clients.unavailable(error) from error
        missing = [topic for topic in topics if topic not in known]
        if missing:
            raise ConfigurationError(
                f"topics that do not exist at {clients.bootstrap_servers}: {', '.join(missing)}; "
                "create them with: dispatcher topics apply"
            )
        yield producer
    finally:
        # What matters has been acknowledged by now; a broker that went away must not hold up the end.
        with suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(2):
                await producer.stop()


@dataclass(slots=True)
class Sending:
    """Records on their way to Kafka, of which only so many may be unacknowledged at once."""

    producer: AIOKafkaProducer
    _waiting: dict[asyncio.Future[Any], int] = field(default_factory=dict)
    _bytes: int = 0
    _failed: BaseException | None = None

    async def send(
        self,
        topic: str,
        value: bytes,
        key: bytes,
        *,
        on_acknowledged: Callable[[], None] = lambda: None,
        on_refused: Callable[[KafkaError], bool] = lambda _: False,
    ) -> None:
        """Hand over a record, when there is room for it.

        ``on_acknowledged`` is called when Kafka has it. ``on_refused`` hears why Kafka did not take it, and tells
        whether that concerns this record alone.

        Raises:
            KafkaError: this or an earlier record could not be sent.
        """
        while len(self._waiting) >= _UNACKNOWLEDGED_RECORDS or self._bytes > _UNACKNOWLEDGED_BYTES:
            await asyncio.wait(self._waiting, return_when=asyncio.FIRST_COMPLETED)
        self._raise_failure()
        try:
            future: asyncio.Future[Any] = await self.producer.send(topic, value=value, key=key)
        except KafkaError as error:
            if not on_refused(error):
                raise
            return
        self._waiting[future] = len(value)
        self._bytes += len(value)
        future.add_done_callback(lambda done: self._settle(done, on_acknowledged, on_refused))

    def _settle(
        self, done: asyncio.Future[Any], on_acknowledged: Callable[[], None], on_refused: Callable[[KafkaError], bool]
    ) -> None:
        self._bytes -= self._waiting.pop(done)
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            on_acknowledged()
        elif not (isinstance(error, KafkaError) and on_refused(error)):
            self._failed = self._failed or error

    async def finish(self) -> None:
        """Wait until Kafka has everything.

        Raises:
            KafkaError: it did not take a record.
        """
        while self._waiting:
            await asyncio.wait(self._waiting)
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failed is not None:
            raise self._failed


@dataclass(slots=True)
class Publication:
    """What became of the lines so far: events that Kafka acknowledged, and lines that are not events.

    Of those that are published, so many are ``incomplete``: operations with devices that nobody will be told of.
    """

    published: int = 0
    rejected: int = 0
    incomplete: int = 0

    def anything(self) -> bool:
        """Whether there has been a line at all that came to something."""
        return bool(self.published or self.rejected)


class Publisher:
    """Publishes the events among lines, and names the lines that are none, or are not all that they should be."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        topics: Topics,
        publication: Publication,
        on_bad: Callable[[int, str], None],
    ) -> None:
        """``publication`` counts, while this works. ``on_bad`` hears a bad line's number and what is wrong."""
        self.publication = publication
        self._topics = topics
        self._on_bad = on_bad
        self._sending = Sending(producer)

    async def publish(self, lines: AsyncIterator[Line]) -> Publication:
        """Publish every line that is an event, each as it stands.

        Raises:
            PublishingBroken: Kafka stopped taking events.
        """
        try:
            async for line in lines:
                await self._publish(line)
            await self._sending.finish()
        except (KafkaError, OSError) as error:
            raise PublishingBroken(
                f"Kafka stopped taking events ({type(error).__name__}): {self.publication.published} had been "
                "published; when it answers, publish the file again: within ten minutes no event is sent twice"
            ) from error
        return self.publication

    async def _publish(self, line: Line) -> None:
        if line.content is None:
            self._reject(line, _TOO_LARGE_REASON)
            return
        try:
            event = read_event(line.content)
        except UnreadableEvent as error:
            self._reject(line, str(error))
            return
        incomplete = event.incomplete
        await self._sending.send(
            self._topics.events[event.type],
            line.content,
            event.organization_id.encode(),
            on_acknowledged=lambda: self._acknowledged(line, incomplete),
            on_refused=lambda error: self._refused(line, error),
        )

    def _acknowledged(self, line: Line, incomplete: str) -> None:
        self.publication.published += 1
        if incomplete:
            self.publication.incomplete += 1
            self._on_bad(line.number, f"published, but incomplete: {incomplete}")

    def _refused(self, line: Line, error: KafkaError) -> bool:
        if not isinstance(error, _TOO_LARGE):
            return False
        self._reject(line, _TOO_LARGE_REASON)
        return True

    def _reject(self, line: Line, reason: str) -> None:
        self.publication.rejected += 1
        self._on_bad(line.number, reason)
