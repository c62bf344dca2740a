"""What a sender has in its hands: attempts to make, and what it knows of each partition."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from aiokafka import ConsumerRecord

from dispatcher.delivery.memory import RecentAttempts
from dispatcher.delivery.record import Delivery
from dispatcher.delivery.target import Target
from dispatcher.kafka.dead_letters import Record
from dispatcher.kafka.watermark import Watermark

# What an attempt takes in memory beside its body.
_OVERHEAD_BYTES = 1_500


Place = tuple[Watermark, int]
"""Where a record stands that asks for an attempt: its offset, in the watermark of its partition."""


def finish(places: Iterable[Place]) -> None:
    """The broker has what became of these records."""
    for watermark, offset in places:
        watermark.finish(offset)


@dataclass(slots=True, eq=False)
class Work:
    """An attempt to make, and the places in Kafka of the records that ask for it: finished when it is."""

    delivery: Delivery
    key: int
    due_at: int
    partition: int
    topic: str
    offset: int
    places: list[Place]
    of_much: bool = False
    """Whether it came with much that its webhook has at once, or was parked."""
    target: Target | None = None
    """Set when its call begins."""
    started_at: int = 0
    traceparent: str = ""
    """Of the span that the attempt is, where spans are exported."""
    shown_in_progress: bool = False
    called: bool = False
    """Whether the call has ended; the report of it may still be on its way."""
    reporting: bool = False
    """Whether its task has ended, and its outcome is on its way to the broker with those of others."""
    task: asyncio.Task[None] | None = None

    @property
    def webhook_id(self) -> str:
        """The lane that it waits in."""
        return self.delivery.webhook_id

    @property
    def size(self) -> int:
        """Bytes that it keeps in memory."""
        return len(self.delivery.body) + _OVERHEAD_BYTES

    @property
    def record(self) -> Record:
        """The record that asks for it, as it came, but for its time: that is when the attempt was due."""
        key, body = self.delivery.key, self.delivery.body
        record: Record = ConsumerRecord(
            topic=self.topic,
            partition=self.partition,
            offset=self.offset,
            timestamp=self.due_at,
            timestamp_type=0,
            key=key,
            value=body,
            checksum=None,
            serialized_key_size=len(key),
            serialized_value_size=len(body),
            headers=self.delivery.headers(),
        )
        return record


@dataclass(slots=True, eq=False)
class Partition:
    """One partition number of deliveries, parked, retries and attempts alike.

    ``made`` are the attempts of the last minutes, ``at_hand`` those that wait or are being made, both by their key;
    ``finished`` has what was dealt with and not committed, by topic: offsets, and the key of the attempt that was
    there, as a log that lost its end has others there later. Outcomes before ``read_to`` are known.
    ``parked`` has the offset of the last record of each attempt that was parked when the partition was taken over, as
    far as ``parked_to``, ``being_parked`` the places of those on their way there, and ``parked_lately`` are those that
    arrived, of the last minutes: whoever repeats one does not overtake it.
    """

    made: RecentAttempts = field(default_factory=RecentAttempts)
    at_hand: dict[int, Work] = field(default_factory=dict)
    finished: dict[str, dict[int, int]] = field(default_factory=dict)
    parked: dict[int, int] = field(default_factory=dict)
    parked_to: int = 0
    being_parked: dict[int, list[Place]] = field(default_factory=dict)
    parked_lately: RecentAttempts = field(default_factory=RecentAttempts)
    read_to: int | None = None

    def is_dealt_with(self, key: int, topic: str, offset: int, due_at: int, *, parked: bool) -> bool:
        """Whether an attempt has been made, or stands where it will be read later; ``parked``: it is read there.

        ``due_at`` is when its record asked for it first, in milliseconds; 0: it is dealt with however long ago it was.
        """
        stands_at = self.parked.get(key)
        if stands_at is not None and (not parked or offset < stands_at):
            return True
        if self.made.has(key, due_at) or self.finished.get(topic, {}).get(offset) == key:
            if parked:
                self.parked.pop(key, None)
            return True
        return not parked and self.parked_lately.has(key, due_at)
