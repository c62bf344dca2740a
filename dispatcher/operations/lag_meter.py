"""Looking at the consumer groups of a cluster: what they have committed, who is in them, what waits."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
    TopicAuthorizationFailedError,
)

from dispatcher.durations import milliseconds_of
from dispatcher.errors import NotAllowed
from dispatcher.kafka.administration import Administrator, connected
from dispatcher.kafka.broker_time import ClockDifference, clock_difference
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.operations.consumers import Reader, readers
from dispatcher.operations.lag import GroupLag, Look, Membership, Place, group_lag

_ANSWERS_WITHIN = 20.0
_HEADS_WITHIN = 5.0
_FETCH_BYTES = 64 * 1024
_AGAIN_AFTER = 0.2
_NOT_YET = (GroupLoadInProgressError, GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was seen, at ``now`` of the broker's clock (milliseconds since the epoch)."""

    now: float
    clock: ClockDifference | None
    groups: tuple[GroupLag, ...]
    missing: tuple[str, ...]
    """Topics that are declared and are not on the cluster."""


class LagMeter:
    """Measures the lag of every consumer group; rates over ``seconds``."""

    def __init__(
        self,
        clients: KafkaClients,
        topics: Topics,
        *,
        seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clients = clients
        self._topics = topics
        self._seconds = seconds
        self._monotonic = monotonic

    async def measure(self) -> Measured:
        """Look twice.

        Raises:
            KafkaUnavailable: no broker answers, or not in time.
            NotAllowed: the user may not look at a group or read a topic.
            TopicRefused: the cluster refuses for another reason.
        """
        async with connected(self._clients) as admin, self._consumer() as consumer:
            with self._refusals_told():
                return await self._measure(admin, consumer)

    async def _measure(self, admin: Administrator, consumer: AIOKafkaConsumer) -> Measured:
        clock = await clock_difference(admin, time.time)
        partitions = await _partitions(admin)
        groups = readers(self._topics, partitions)
        delays = {name: delay for name in partitions if (delay := self._topics.retry_delay(name)) is not None}
        places = {reader.group: _places(reader, partitions) for reader in groups}

        async def look() -> dict[str, Look]:
            everywhere = {place for of_group in places.values() for place in of_group}
            begins, ends, ready = await self._offsets(consumer, everywhere, delays, clock)
            committed = {reader.group: await _committed(admin, reader.group) for reader in groups}
            at = self._monotonic()
            return {
                group: Look(at, committed[group], _only(begins, own), _only(ends, own), _only(ready, own))
                for group, own in places.items()
            }

        first = await look()
        await asyncio.sleep(self._seconds)
        second = await look()
        now = self._now(clock)
        measured = [
            group_lag(
                reader,
                await _membership(admin, reader.group),
                (first[reader.group], second[reader.group]),
                await self._stamps(consumer, second[reader.group]),
                delays,
                now,
            )
            for reader in groups
        ]
        missing = tuple(topic.name for topic in self._topics.declared if topic.name not in partitions)
        return Measured(now, clock, tuple(measured), missing)

    def _now(self, clock: ClockDifference | None) -> float:
        return time.time() * 1000 + (clock.ahead if clock is not None else 0)

    async def _offsets(
        self,
        consumer: AIOKafkaConsumer,
        places: Collection[Place],
        delays: Mapping[str, timedelta],
        clock: ClockDifference | None,
    ) -> tuple[dict[Place, int], dict[Place, int], dict[Place, int]]:
        """Where partitions begin, where they end, and where their records that may be worked on end."""
        if not places:
            return {}, {}, {}
        async with asyncio.timeout(_ANSWERS_WITHIN):
            every = [TopicPartition(*place) for place in places]
            begins = await consumer.beginning_offsets(every)
            ends = await consumer.end_offsets(every)
            now = round(self._now(clock))
            due_after = {tp: now - milliseconds_of(delays[tp.topic]) + 1 for tp in every if tp.topic in delays}
            not_due = await consumer.offsets_for_times(due_after) if due_after else {}
        ready = {tp: found.offset for tp, found in not_due.items() if found is not None}
        return _by_place(begins), _by_place(ends), _by_place({**ends, **ready})

    async def _stamps(self, consumer: AIOKafkaConsumer, look: Look) -> dict[Place, int]:
        """The time of the record at each position that something waits at; without those that cannot be had soon."""
        left = {
            TopicPartition(*place): look.position(place)
            for place, end in look.ends.items()
            if look.position(place) < end
        }
        stamps: dict[Place, int] = {}
        if not left:
            return stamps
        consumer.assign(list(left))
        for partition, offset in left.items():
            consumer.seek(partition, offset)
        deadline = self._monotonic() + _HEADS_WITHIN
        while left and self._monotonic() < deadline:
            for partition, records in (await consumer.getmany(timeout_ms=500, max_records=len(left))).items():
                if left.pop(partition, None) is not None:
                    stamps[partition.topic, partition.partition] = records[0].timestamp
                    consumer.pause(partition)
        return stamps

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = self._clients.consumer(max_partition_fetch_bytes=_FETCH_BYTES, fetch_max_wait_ms=100)
        try:
            try:
                await consumer.start()
            except (KafkaError, OSError) as error:
                raise self._clients.unavailable(error) from error
            yield consumer
        finally:
            await consumer.stop()

    @contextmanager
    def _refusals_told(self) -> Iterator[None]:
        try:
            yield
        except GroupAuthorizationFailedError as error:
            groups = f"groups {self._topics.prefix}webhooks.*"
            raise NotAllowed(
                f"Kafka's user may not look at a group ({error}): grant it DESCRIBE on the {groups}"
            ) from None
        except TopicAuthorizationFailedError as error:
            raise NotAllowed(
                f"Kafka's user may not look at a topic ({error}): grant it DESCRIBE and READ on all topics that "
                "`dispatcher topics plan` knows; it reads one record of each partition for its time"
            ) from None


async def _partitions(admin: Administrator) -> dict[str, int]:
    return {
        topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics() if not topic["error_code"]
    }


def _places(reader: Reader, partitions: Mapping[str, int]) -> list[Place]:
    return [(topic, number) for topic in reader.topics for number in range(partitions.get(topic, 0))]


async def _committed(admin: Administrator, group: str) -> dict[Place, int]:
    found = await _patiently(lambda: admin.committed(group))
    return {(tp.topic, tp.partition): each.offset for tp, each in found.items() if each.offset >= 0}


async def _membership(admin: Administrator, group: str) -> Membership:
    state, members = await _patiently(lambda: admin.group(group))
    assigned: dict[Place, str] = {}
    hosts: dict[str, str] = {}
    for member_id, _, host, _, assignment, *_ in members:
        hosts[member_id] = host.lstrip("/")
        if assignment:
            for tp in ConsumerProtocolMemberAssignment.decode(assignment).partitions():
                assigned[tp.topic, tp.partition] = member_id
    return Membership(state, len(members), assigned, hosts)


async def _patiently(ask: Callable[[], Any]) -> Any:
    """Ask again while a group moves from one broker to another, or is being loaded by one that starts."""
    async with asyncio.timeout(_ANSWERS_WITHIN):
        while True:
            try:
                return await ask()
            except _NOT_YET:
                await asyncio.sleep(_AGAIN_AFTER)


def _by_place(offsets: Mapping[TopicPartition, int]) -> dict[Place, int]:
    return {(tp.topic, tp.partition): offset for tp, offset in offsets.items()}


def _only(offsets: Mapping[Place, int], places: Collection[Place]) -> dict[Place, int]:
    return {place: offsets[place] for place in places}
