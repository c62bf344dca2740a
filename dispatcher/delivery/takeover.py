"""Taking over a partition: reading back which attempts were made there lately, whoever made them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog
from aiokafka import TopicPartition

from dispatcher.delivery.memory import REMEMBERED, attempt_key
from dispatcher.delivery.outcome import is_final, told_of, was_called
from dispatcher.delivery.record import UnreadableDelivery, read_delivery
from dispatcher.delivery.work import Partition
from dispatcher.durations import milliseconds_of
from dispatcher.kafka.administration import connected
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.dead_letters import Record
from dispatcher.kafka.headers import by_name
from dispatcher.kafka.positions import positions_within
from dispatcher.kafka.reading import read_up_to
from dispatcher.kafka.topics import Topics

# The committing sender's clock and the broker's, which stamps outcomes, may differ by so much.
_CLOCK_SKEW_MS = 60_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Finished:
    """An attempt that ended: its key, when (milliseconds), whose delivery it was, and whether somebody was called."""

    key: int
    at: int
    topic: str
    offset: int
    called: bool


@dataclass(frozen=True, slots=True)
class _LookBack:
    """What matters of a partition's outcomes ``now``, when nobody may have worked on it for the last ``idle``.

    What was published in that time may repeat what was made in the ten minutes before. Times are milliseconds.
    """

    now: int
    idle: int
    remembered: int
    """The beginning of the last ten minutes."""

    @property
    def begins(self) -> int:
        """From when on outcomes are read."""
        return max(self.remembered - self.idle - _CLOCK_SKEW_MS, 0)

    def note(self, partition: Partition, finished: _Finished, committed_to: int) -> None:
        """Let a partition know of an outcome; what is ``committed_to`` an offset is not read again."""
        if finished.called and finished.at >= self.remembered - self.idle:
            partition.made.add(finished.key, finished.at, min(finished.at + self.idle, self.now))
        if (not finished.called or finished.at < self.remembered) and finished.offset >= committed_to:
            partition.finished.setdefault(finished.topic, {})[finished.offset] = finished.key


async def take_over(
    clients: KafkaClients,
    topics: Topics,
    group: str,
    tps: Collection[TopicPartition],
    *,
    partitions: Mapping[int, Partition],
    now: int,
) -> Mapping[TopicPartition, int]:
    """Let ``partitions`` know what was made in them lately, up to now (milliseconds), and what is parked in them.

    A partition that has been read before is read on from there; another one, and one whose first uncommitted delivery
    was begun before what is remembered, from ten minutes before that was begun, as its last owner noted. What is parked
    is read from where it is committed, or from where it was read to before.

    Returns the offsets at which the group goes on in ``tps``: those that are committed.

    Raises:
        KafkaError, OSError, DispatcherError: Kafka does not tell now.
    """
    async with connected(clients) as admin:
        committed = await admin.committed(group, tps)
    since = _working_since(committed)
    remembered = now - milliseconds_of(REMEMBERED)
    consumer = clients.consumer()
    back = {number: _LookBack(now, max(now - since.get(number, now), 0), remembered) for number in partitions}
    attempts = {number: TopicPartition(topics.attempts, number) for number in partitions}
    await consumer.start()
    try:
        positions: Mapping[TopicPartition, int] = {tp: offset for tp, (offset, _) in committed.items() if offset >= 0}
        if unknown := [tp for tp in tps if tp not in positions]:
            positions = {**positions, **await consumer.beginning_offsets(unknown)}
        positions = await positions_within(consumer, positions, remembered)
        parked = [tp for tp in tps if tp.topic == topics.parked]
        ends = await consumer.end_offsets([*attempts.values(), *parked])
        found = await consumer.offsets_for_times({tp: back[number].begins for number, tp in attempts.items()})
        for tp, position in positions.items():
            _forget_before(position, tp.topic, partitions[tp.partition], parked=tp in parked)
        # Not before: a broker answers a question when it has answered the fetch before it, which may wait for records.
        consumer.assign(list(ends))
        for number, tp in attempts.items():
            known = partitions[number].read_to if since.get(number, now) >= remembered else None
            first = found[tp].offset if found.get(tp) is not None else ends[tp]
            consumer.seek(tp, max(known or first, first))
        for tp in parked:
            consumer.seek(tp, max(positions[tp], _parked_to(partitions[tp.partition], ends[tp])))
        async for tp, records in read_up_to(consumer, ends):
            partition = partitions[tp.partition]
            if tp.topic == topics.parked:
                _note_parked(partition, records)
                continue
            for finished in _finished(records):
                committed_to = positions.get(TopicPartition(finished.topic, tp.partition), 0)
                back[tp.partition].note(partition, finished, committed_to)
            partition.read_to = records[-1].offset + 1
        for number, tp in attempts.items():
            partitions[number].read_to = max(partitions[number].read_to or 0, ends[tp])
        for tp in parked:
            partitions[tp.partition].parked_to = ends[tp]
    finally:
        await consumer.stop()
    return {tp: positions[tp] for tp in tps}


def _forget_before(position: int, topic: str, partition: Partition, *, parked: bool) -> None:
    """Keep nothing of what is committed, which nobody reads again."""
    finished = partition.finished.get(topic, {})
    partition.finished[topic] = {offset: key for offset, key in finished.items() if offset >= position}
    if parked:
        partition.parked = {key: offset for key, offset in partition.parked.items() if offset >= position}


def _parked_to(partition: Partition, end: int) -> int:
    """As far as what is parked is known; nothing of it where the log has lost its end since."""
    if partition.parked_to > end:
        partition.parked, partition.parked_to = {}, 0
    return partition.parked_to


def _note_parked(partition: Partition, records: Sequence[Record]) -> None:
    """Learn where what is parked stands last: whoever moved it there may not have committed that."""
    for record in records:
        with suppress(UnreadableDelivery):
            delivery = read_delivery(record.key, record.value, record.headers)
            partition.parked[delivery.attempt_key] = record.offset


def _working_since(committed: Mapping[TopicPartition, tuple[int, str]]) -> dict[int, int]:
    """When the first uncommitted delivery of each partition was begun, as its last owner noted it."""
    since: dict[int, int] = {}
    for tp, (_, metadata) in committed.items():
        if metadata.isascii() and metadata.isdigit():
            since[tp.partition] = min(int(metadata), since.get(tp.partition, int(metadata)))
    return since


def _finished(records: Iterable[Record]) -> Iterable[_Finished]:
    for record in records:
        headers = by_name(record.headers)
        if not is_final(headers):
            continue
        try:
            topic, offset = told_of(headers)
            yield _Finished(
                key=attempt_key(headers["message"].decode(), int(headers["run"]), int(headers["attempt"])),
                at=record.timestamp,
                topic=topic,
                offset=offset,
                called=was_called(headers),
            )
        except (KeyError, ValueError) as error:
            # Whoever wrote it, it must not keep a partition from having a sender.
            log.warning("an outcome does not say of which attempt it is", offset=record.offset, error=repr(error))
