"""Taking over a partition: reading back which attempts were made there lately, whoever made them."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass

from aiokafka import TopicPartition

from dispatcher.delivery.memory import REMEMBERED, attempt_key
from dispatcher.delivery.record import VERSION, Headers
from dispatcher.durations import milliseconds_of
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.dead_letters import Record

# The committing sender's clock and the broker's, which stamps outcomes, may differ by so much.
_CLOCK_SKEW_MS = 60_000


@dataclass(frozen=True, slots=True)
class Finished:
    """An attempt that ended: its key, when (milliseconds), and the delivery that it was made for."""

    key: int
    at: int
    topic: str
    offset: int


def outcome_headers(message_id: str, run: int, attempt: int, *, final: bool, topic: str, offset: int) -> Headers:
    """The headers of an outcome's record; ``final`` unless the attempt is still being executed."""
    return [
        ("v", VERSION),
        ("message", message_id.encode()),
        ("run", b"%d" % run),
        ("attempt", b"%d" % attempt),
        ("final", b"1" if final else b"0"),
        ("topic", topic.encode()),
        ("offset", b"%d" % offset),
    ]


def read_back_from(now: int, working_since: int | None) -> int:
    """The time from which on outcomes matter, in milliseconds.

    ``working_since`` is when the first delivery that is not committed was begun, as the last owner noted it.
    """
    remembered = now - milliseconds_of(REMEMBERED)
    return min(remembered, working_since or remembered) - _CLOCK_SKEW_MS


async def read_finished(
    clients: KafkaClients, topic: str, starts: Mapping[int, int]
) -> AsyncIterator[tuple[int, Finished]]:
    """The outcomes of partitions since the given times (milliseconds), each with its partition, up to the end."""
    consumer = clients.consumer()
    partitions = {TopicPartition(topic, partition): since for partition, since in starts.items()}
    consumer.assign(list(partitions))
    await consumer.start()
    try:
        ends = await consumer.end_offsets(list(partitions))
        found = await consumer.offsets_for_times(partitions)
        positions = {tp: found[tp].offset if found.get(tp) is not None else ends[tp] for tp in partitions}
        for tp, position in positions.items():
            consumer.seek(tp, position)
        left = {tp for tp in partitions if positions[tp] < ends[tp]}
        while left:
            for tp, records in (await consumer.getmany(*left, timeout_ms=1_000)).items():
                for finished in _finished(records):
                    yield tp.partition, finished
            left = {tp for tp in left if await consumer.position(tp) < ends[tp]}
    finally:
        await consumer.stop()


def _finished(records: Iterable[Record]) -> Iterable[Finished]:
    for record in records:
        headers = dict(record.headers)
        if headers.get("final") == b"1":
            yield Finished(
                key=attempt_key(headers["message"].decode(), int(headers["run"]), int(headers["attempt"])),
                at=record.timestamp,
                topic=headers["topic"].decode(),
                offset=int(headers["offset"]),
            )
