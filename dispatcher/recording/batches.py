"""What was read from Kafka and waits to be inserted: gathered into batches, bounded, committable."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

from dispatcher.delivery.outcome import IN_PROGRESS
from dispatcher.kafka.dead_letters import Record


class Sized(Record, Protocol):
    """A consumed record that knows how large its value is."""

    serialized_value_size: int


_OVERHEAD = 200
"""Bytes reckoned for a record beside its value, so that many small ones are bounded too."""


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """When a batch is inserted, and how much may wait meanwhile."""

    linger: float = 0.3
    """Seconds that the first record of a batch waits for others."""
    interval: float = 1.0
    """Seconds from one batch to the next. That an attempt is in progress does not wait for them: it is of no use later.

    An insert costs ClickHouse as much as hundreds of rows do, and a few large parts are merged sooner than many small.
    """
    records: int = 20_000
    size: int = 16 * 1024 * 1024
    """Bytes of a batch."""
    room: int = 48 * 1024 * 1024
    """Bytes that may wait; above, nothing more is read until a batch has been inserted."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to insert at once, and the offsets that may be committed afterwards."""

    records: tuple[Sized, ...]
    epoch: int

    @property
    def committable(self) -> dict[tuple[str, int], int]:
        """For each topic and partition, the offset of the next record to read."""
        offsets: dict[tuple[str, int], int] = {}
        for record in self.records:
            offsets[record.topic, record.partition] = record.offset + 1
        return offsets


@dataclass(slots=True)
class Gathering:
    """The records that wait. An epoch lasts from one assignment of partitions to the next."""

    policy: BatchPolicy
    epoch: int = 0
    _records: list[Sized] = field(default_factory=list)
    _sizes: list[int] = field(default_factory=list)
    _size: int = 0
    _since: float | None = None
    _taken: float = -inf
    _urgent: bool = False

    def add(self, records: Iterable[Sized], now: float) -> None:
        """Add records in the order of their offsets; ``now`` in seconds of a monotonic clock."""
        for record in records:
            size = max(record.serialized_value_size, 0) + _OVERHEAD
            self._records.append(record)
            self._sizes.append(size)
            self._size += size
            self._urgent = self._urgent or IN_PROGRESS in record.headers
            if self._since is None:
                self._since = now

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._records

    @property
    def full(self) -> bool:
        """Whether nothing more should be read."""
        return self._size >= self.policy.room

    def due_in(self, now: float) -> float:
        """Seconds until a batch is to be taken; not above zero: now."""
        if self._since is None:
            return self.policy.linger
        if len(self._records) >= self.policy.records or self._size >= self.policy.size:
            return 0
        due = self._since + self.policy.linger
        return (due if self._urgent else max(due, self._taken + self.policy.interval)) - now

    def take(self, now: float) -> Batch:
        """Take the oldest records, as many as make a batch."""
        size = count = 0
        for each in self._sizes[: self.policy.records]:
            if count and size + each > self.policy.size:
                break
            size += each
            count += 1
        batch = Batch(tuple(self._records[:count]), self.epoch)
        del self._records[:count], self._sizes[:count]
        self._size -= size
        self._since = now if self._records else None
        self._taken, self._urgent = now, self._urgent and bool(self._records)
        return batch

    def forget(self) -> None:
        """Drop everything and begin a new epoch: what was read and not committed is read again by its new owner."""
        self._records.clear()
        self._sizes.clear()
        self._size = 0
        self._since = None
        self._urgent = False
        self.epoch += 1
