"""What lies in ``webhooks.dead-letter``, and sending it again.

Which letters were sent again stands in the topic itself: a marker, behind them in the same partition, names their
offsets. It outlives them, which an offset that a group committed would not: Kafka forgets those of a group that nobody
is in after a week, and dead letters are kept for four.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace

from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from dispatcher.errors import ConfigurationError, DispatcherError
from dispatcher.kafka.administration import connected
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.dead_letters import DeadLetter, NotADeadLetter, Origin, read_dead_letter
from dispatcher.kafka.groups import Group
from dispatcher.kafka.preview import preview
from dispatcher.kafka.reading import read_up_to
from dispatcher.kafka.sole_member import sole_member
from dispatcher.kafka.topics import Topics

REPLAYED = "dead-letter-replayed"
"""The header of a marker, whose value is offsets of its partition, separated by commas."""

_VERSION = b"1"

PREVIEW_CHARACTERS = 200

_OFFSET = re.compile(rb"[0-9]{1,19}")

_AT_ONCE = 100
_BYTES_AT_ONCE = 4 * 1024 * 1024

Place = tuple[int, int]
"""A partition of ``webhooks.dead-letter`` and an offset in it."""


class ReplayBroken(DispatcherError):
    """Kafka did not take everything that was to be sent again."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as it is shown; ``time`` is when it was set aside, in milliseconds since the epoch.

    Without an origin it is a record that somebody else put there.
    """

    place: Place
    time: int
    reason: str
    origin: Origin | None
    key: str | None
    value: str
    size: int
    omitted: str
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant: those that fulfil everything that is given."""

    topic: str | None = None
    reason: str | None = None
    places: Collection[Place] = ()
    replayed_too: bool = False

    def includes(self, letter: Letter, prefix: str = "") -> bool:
        """Whether a letter is meant; ``prefix`` need not be written before the topic."""
        origin = letter.origin.topic if letter.origin is not None else ""
        return (
            (self.replayed_too or not letter.replayed)
            and (self.topic is None or origin in {self.topic, prefix + self.topic})
            and (self.reason is None or self.reason.casefold() in letter.reason.casefold())
            and (not self.places or letter.place in self.places)
        )


@dataclass(frozen=True, slots=True)
class Sorted:
    """Letters that can be sent again, and those that cannot, each with why not."""

    sendable: Sequence[Letter]
    left: Sequence[tuple[Letter, str]]


class DeadLetterBox:
    """Looks at the dead letters and sends them again."""

    def __init__(self, clients: KafkaClients, topics: Topics) -> None:
        self._clients = clients
        self._topics = topics

    async def letters(self, selection: Selection) -> list[Letter]:
        """Those that are meant, the newest first.

        Raises:
            KafkaUnavailable: no broker answers.
            NotAllowed: the user may not read the topic.
            ConfigurationError: the topic does not exist.
        """
        found: list[Letter] = []
        replayed: set[Place] = set()
        async for record in self._records():
            offsets = _replayed_offsets(record)
            if offsets is None:
                found.append(_letter(record))
            else:
                replayed.update((record.partition, offset) for offset in offsets)
        marked = (replace(letter, replayed=letter.place in replayed) for letter in found)
        meant = [letter for letter in marked if selection.includes(letter, self._topics.prefix)]
        return sorted(meant, key=lambda letter: (letter.time, letter.place), reverse=True)

    async def sort(self, letters: Iterable[Letter]) -> Sorted:
        """Tell which letters can be sent again.

        Raises:
            KafkaUnavailable: no broker answers.
        """
        async with _producing(self._clients) as producer:
            partitions = {
                topic.name: len(await producer.partitions_for(topic.name))
                for topic in self._topics.declared
                if topic.name in {letter.origin.topic for letter in letters if letter.origin is not None}
            }
        sendable: list[Letter] = []
        left: list[tuple[Letter, str]] = []
        for letter in letters:
            why_not = obstacle(letter, self._topics, partitions)
            if why_not is None:
                sendable.append(letter)
            else:
                left.append((letter, why_not))
        return Sorted(sendable, left)

    async def replay(self, letters: Collection[Letter], sent: Callable[[int], None]) -> int:
        """Send letters again, as they came, to the topics and partitions that they came from; how many that were.

        ``sent`` hears how many are with the broker and marked as sent. One that was sent meanwhile is left out.

        Raises:
            SomebodyElse: another replay is going on.
            ReplayBroken: Kafka does not take one of them; those before it are marked.
            KafkaUnavailable: no broker answers.
        """
        if not letters:
            return 0
        count = 0
        dead_letter = self._topics.dead_letter
        async with sole_member(self._clients, dead_letter, self._topics.group(Group.DEAD_LETTERS)):
            still = await self.letters(Selection(places={letter.place for letter in letters}, replayed_too=True))
            before = {letter.place: letter.replayed for letter in letters}
            wanted = {letter.place for letter in still if letter.replayed == before[letter.place]}
            async with _producing(self._clients) as producer, aclosing(self._batches(wanted)) as batches:
                async for batch in batches:
                    try:
                        await self._send_again(producer, batch)
                    except KafkaError as error:
                        raise ReplayBroken(
                            f"{count} dead letters were sent again, and then Kafka did not take more "
                            f"({type(error).__name__}); run the command again to go on: up to {len(batch)} of them "
                            "may have been sent and would be sent twice"
                        ) from error
                    count += len(batch)
                    sent(count)
        return count

    async def _send_again(self, producer: AIOKafkaProducer, batch: Sequence[tuple[Place, DeadLetter]]) -> None:
        acknowledged = [
            await producer.send(
                letter.origin.topic,
                value=letter.value,
                key=letter.key,
                headers=list(letter.headers),
                # Not by key: what was made of a delivery is looked for in the partition that it came from.
                partition=letter.origin.partition,
            )
            for _, letter in batch
        ]
        for each in acknowledged:
            await each
        offsets: dict[int, list[int]] = {}
        for (partition, offset), _ in batch:
            offsets.setdefault(partition, []).append(offset)
        marked = [
            await producer.send(
                self._topics.dead_letter,
                value=",".join(map(str, those)).encode(),
                headers=[(REPLAYED, _VERSION)],
                partition=partition,
            )
            for partition, those in offsets.items()
        ]
        for each in marked:
            await each

    async def _batches(self, wanted: Collection[Place]) -> AsyncGenerator[list[tuple[Place, DeadLetter]], None]:
        batch: list[tuple[Place, DeadLetter]] = []
        size = 0
        async with aclosing(self._records()) as records:
            async for record in records:
                place = record.partition, record.offset
                if place not in wanted:
                    continue
                batch.append((place, read_dead_letter(record)))
                size += len(record.value or b"")
                if len(batch) >= _AT_ONCE or size >= _BYTES_AT_ONCE:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch

    async def _records(self) -> AsyncGenerator[ConsumerRecord, None]:
        """What the topic holds now, each partition in its order."""
        consumer = self._clients.consumer()
        try:
            partitions = await self._partitions()
            consumer.assign(partitions)
            await consumer.start()
            await consumer.seek_to_beginning()
            ends = await consumer.end_offsets(partitions)
            async for _, records in read_up_to(consumer, ends):
                for record in records:
                    yield record
        except (KafkaError, OSError) as error:
            raise self._clients.unavailable(error) from error
        finally:
            await consumer.stop()

    async def _partitions(self) -> list[TopicPartition]:
        name = self._topics.dead_letter
        async with connected(self._clients) as admin:
            (topic,) = await admin.describe_topics([name])
        if topic["error_code"]:
            raise ConfigurationError(
                f"the topic {name} does not exist: is DISPATCHER_KAFKA_PREFIX right? In a new installation run "
                "`dispatcher topics apply` first"
            )
        return [TopicPartition(name, each["partition"]) for each in topic["partitions"]]


def obstacle(letter: Letter, topics: Topics, partitions: Mapping[str, int]) -> str | None:
    """Why a letter cannot be sent again; None when it can. ``partitions`` has how many each topic has."""
    origin = letter.origin
    if origin is None:
        return letter.reason
    if origin.topic in {topics.config, topics.resources, topics.audit, topics.sessions}:
        return f"it is in {origin.topic} still, which is read from its beginning whenever a portal starts"
    if letter.omitted:
        return f"its {letter.omitted} did not fit here; its topic has it as long as it is kept there"
    if origin.topic not in partitions:
        return f"{origin.topic} is not a topic of this topics.yaml"
    if not 0 <= origin.partition < partitions[origin.topic]:
        return f"{origin.topic} has no partition {origin.partition}"
    return None


def _letter(record: ConsumerRecord) -> Letter:
    try:
        read = read_dead_letter(record)
    except NotADeadLetter as error:
        reason, origin, omitted = str(error), None, ""
    else:
        reason, origin, omitted = read.reason, read.origin, read.omitted
    return Letter(
        place=(record.partition, record.offset),
        time=record.timestamp,
        reason=preview(reason.encode(errors="replace"), len(reason)),
        origin=origin,
        key=None if record.key is None else preview(record.key, PREVIEW_CHARACTERS),
        value=preview(record.value, PREVIEW_CHARACTERS),
        size=len(record.value or b""),
        omitted=omitted,
    )


def _replayed_offsets(record: ConsumerRecord) -> list[int] | None:
    """The offsets that a marker names; None when the record is no marker."""
    if record.key is not None or list(record.headers) != [(REPLAYED, _VERSION)]:
        return None
    offsets = (record.value or b"").split(b",")
    return [int(offset) for offset in offsets] if all(map(_OFFSET.fullmatch, offsets)) else None


@asynccontextmanager
async def _producing(clients: KafkaClients) -> AsyncIterator[AIOKafkaProducer]:
    producer = clients.producer(enable_idempotence=True)
    try:
        try:
            await producer.start()
        except (KafkaError, OSError) as error:
            raise clients.unavailable(error) from error
        yield producer
    finally:
        await producer.stop()
