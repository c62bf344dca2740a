"""The recorder: what became of every attempt, from Kafka into ClickHouse.

One task reads and one inserts, so that reading (and with it the membership in the group) never waits for ClickHouse.
Another closes hours, so that whoever reads need not count them again.
Offsets are committed after their rows are in; rows that are inserted again change nothing, so whatever is in doubt is
simply done again.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from dispatcher.delivery.outcome import is_final, told_of, unread_format
from dispatcher.errors import ClickHouseUnavailable, ConfigurationError
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.dead_letters import DeadLetters
from dispatcher.kafka.groups import Group
from dispatcher.kafka.headers import by_name
from dispatcher.kafka.topics import Topics
from dispatcher.observability.metrics import (
    BATCH_RECORDS,
    FAILED,
    REBALANCES,
    RECORDER_INSERT_FAILURES,
    RECORDER_INSERT_SECONDS,
    ROWS_RECORDED,
    TIMED_OUT,
)
from dispatcher.recording import queued
from dispatcher.recording.backoff import Backoff
from dispatcher.recording.batches import Batch, BatchPolicy, Gathering, Sized
from dispatcher.recording.clickhouse import ClickHouse, ClickHouseTimedOut, QueryFailed, RejectedRows
from dispatcher.recording.closing import Closing
from dispatcher.recording.erasing import ErasedWebhooks
from dispatcher.recording.schema import migrate

log = structlog.get_logger()

T = TypeVar("T")

_POLL_MS = 200
_AT_ONCE = 250
"""Records that are read, or prepared, until others have a turn: in `dispatcher up` the matcher and the portal wait."""
_FETCH_BYTES = 256 * 1024
_FETCH_WAIT_MS = 200
_REVOKE_SECONDS = 3.0
_ASK_AGAIN_SECONDS = 0.5
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one table with the records that they come from, in a format where rows follow each other."""

    table: str
    format: str
    columns: Sequence[str]
    separator: bytes
    rows: Sequence[tuple[Sized, bytes]]

    def part(self, start: int, end: int | None) -> "_Rows":
        return _Rows(self.table, self.format, self.columns, self.separator, self.rows[start:end])

    @property
    def encoded(self) -> bytes:
        return self.separator.join(row for _, row in self.rows)


_Place = tuple[str, int, int]
"""Topic, partition and offset of a record."""


class Recorder(ConsumerRebalanceListener):  # type: ignore[misc]
    """The role ``recorder``."""

    name = "recorder"

    def __init__(
        self,
        clients: KafkaClients,
        topics: Topics,
        clickhouse: ClickHouse,
        *,
        policy: BatchPolicy | None = None,
    ) -> None:
        self._clients = clients
        self._topics = topics
        self._clickhouse = clickhouse
        self._erased = ErasedWebhooks(clickhouse)
        self._closing = Closing(clickhouse)
        self._gathering = Gathering(policy or BatchPolicy())
        self._backoff = Backoff(random.random)
        self._consumer: AIOKafkaConsumer = clients.consumer(
            group=topics.group(Group.RECORDER),
            member=clients.membership("recorder"),
            client_id="recorder",
            # What can wait for a batch can wait at the broker for others: fewer fetches, of more.
            fetch_min_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
        )
        self._producer: AIOKafkaProducer | None = None
        self._has_schema = False
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._added = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._assigned = asyncio.Event()
        self._assigned.set()

    async def start(self) -> None:
        """Bring the schema up to date, and begin to read.

        A ClickHouse server that does not answer is waited for in the background, with the offsets kept.

        Raises:
            ClickHouseUnavailable: the embedded engine cannot be used.
            ConfigurationError: migrations are missing, and ClickHouse's user may not apply them.
            KafkaUnavailable: no broker answers.
        """
        try:
            await self._bring_schema_up_to_date()
        except ClickHouseUnavailable as error:
            if self._clickhouse.url.embedded:
                raise
            log.warning("ClickHouse is away; the recorder waits for it", error=str(error))
        self._producer = self._clients.producer(client_id="recorder")
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._producer.stop)
            stack.push_async_callback(self._consumer.stop)
            try:
                await self._producer.start()
                topics = self._topics
                self._consumer.subscribe([topics.attempts, topics.deliveries, topics.bulk], listener=self)
                await self._consumer.start()
            except (KafkaError, OSError) as error:
                raise self._clients.unavailable(error) from error
            stack.pop_all()
        await self._closing.start()
        self._tasks = (
            asyncio.create_task(self._read(), name="recorder: read"),
            asyncio.create_task(self._write(DeadLetters(self._producer, self._topics.dead_letter)), name="recorder"),
        )

    async def wait(self) -> None:
        """Run until ``stop``; raise what ended one of the two tasks before."""
        try:
            await asyncio.gather(*self._tasks, self._closing.wait())
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise

    async def stop(self) -> None:
        """Insert what waits, unless ClickHouse is away, and leave the group."""
        self._stopping.set()
        self._hurry.set()
        self._added.set()
        await self._closing.stop()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._consumer.stop()
        if self._producer is not None:
            await self._producer.stop()

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Insert and commit what waits, within a deadline; whoever gets the partitions reads the rest again."""
        del revoked
        self._assigned.clear()
        self._hurry.set()
        self._added.set()
        try:
            async with asyncio.timeout(_REVOKE_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            log.warning("records were given up in a rebalance; they are read again")
        finally:
            self._begin_epoch()
            self._hurry.clear()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Read on, from what is committed."""
        del assigned
        REBALANCES.labels(self.name).inc()
        self._begin_epoch()
        self._assigned.set()

    def _begin_epoch(self) -> None:
        self._gathering.forget()
        self._settle()

    def _settle(self) -> None:
        if self._gathering.is_empty():
            self._idle.set()

    async def _read(self) -> None:
        while not self._stopping.is_set():
            await self._until(self._assigned, _POLL_MS / 1000)
            epoch = self._gathering.epoch
            self._make_room()
            found = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_AT_ONCE)
            await asyncio.sleep(0)
            if not found:
                continue
            if epoch != self._gathering.epoch or not self._assigned.is_set():
                await self._go_back()
                continue
            for records in found.values():
                self._gathering.add(records, time.monotonic())
            self._idle.clear()
            self._added.set()

    def _make_room(self) -> None:
        """Stop and start the flow, never the polling: a consumer that does not poll leaves its group."""
        if self._gathering.full:
            self._consumer.pause(*self._consumer.assignment())
        elif self._consumer.paused() and self._gathering.is_empty():
            self._consumer.resume(*self._consumer.paused())

    async def _go_back(self) -> None:
        """Records came across a rebalance: it cannot be told whose they are, so read again from what is committed."""
        while True:
            try:
                for partition in self._consumer.assignment():
                    committed = await self._consumer.committed(partition)
                    if committed is None:
                        await self._consumer.seek_to_beginning(partition)
                    else:
                        self._consumer.seek(partition, committed)
            except IllegalStateError:
                log.debug("another rebalance came; its positions are right")
            except KafkaError as error:
                log.warning("Kafka does not tell what is committed; asked again", error=str(error))
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
                continue
            return

    async def _write(self, dead_letters: DeadLetters) -> None:
        while not (self._stopping.is_set() and self._gathering.is_empty()):
            self._added.clear()
            if self._gathering.is_empty():
                await self._added.wait()
                continue
            due_in = self._gathering.due_in(time.monotonic())
            if due_in > 0 and not self._hurry.is_set():
                await self._until(self._added, due_in)  # what is added may be due sooner
                continue
            self._idle.clear()
            batch = self._gathering.take(time.monotonic())
            BATCH_RECORDS.labels(self.name).observe(len(batch.records))
            await self._record(batch, dead_letters)
            self._settle()

    async def _record(self, batch: Batch, dead_letters: DeadLetters) -> None:
        failures = 0
        while batch.epoch == self._gathering.epoch:
            try:
                if not self._has_schema:
                    await self._bring_schema_up_to_date()
                await self._insert_batch(batch, dead_letters)
            except (ClickHouseUnavailable, ConfigurationError, QueryFailed) as error:
                failures += 1
                # Who comes back may be an earlier copy, out of a backup. Where it is not, this is one small question.
                self._has_schema = False
                late = isinstance(error, ClickHouseTimedOut)
                RECORDER_INSERT_FAILURES.labels(TIMED_OUT if late else FAILED).inc()
                log.warning("ClickHouse takes no rows; offsets are kept", error=str(error), failures=failures)
            except KafkaError as error:
                failures += 1
                log.warning("Kafka takes no dead letters; offsets are kept", error=str(error), failures=failures)
            else:
                await self._commit(batch)
                return
            if self._stopping.is_set():
                self._gathering.forget()
                return
            await self._until(self._stopping, self._backoff.after(failures))

    async def _bring_schema_up_to_date(self) -> None:
        for migration in await migrate(self._clickhouse):
            log.info("applied a migration to ClickHouse", number=migration.number, migration=migration.name)
        self._has_schema = True

    async def _insert_batch(self, batch: Batch, dead_letters: DeadLetters) -> None:
        erased = await self._erased.keys()
        records = [record for record in batch.records if record.key not in erased]
        outcomes, refused = await self._outcomes(records)
        refused += await self._insert(outcomes)
        # Only now is it sure of which attempts the outcomes tell.
        queued_rows = await self._queued(records, await _attempted(outcomes, refused))
        # Nobody would miss the queued rows that are refused: their deliveries are the senders' to judge.
        without_row = await self._insert(queued_rows)
        for record, reason in without_row:
            log.warning("a delivery has no row", partition=record.partition, offset=record.offset, reason=reason)
        await asyncio.gather(*(dead_letters.send(record, reason) for record, reason in refused))
        left_out = _identities([*refused, *without_row])
        inserted = (record for rows in (queued_rows, outcomes) for record, _ in rows.rows if id(record) not in left_out)
        for topic, number in Counter(record.topic for record in inserted).items():
            ROWS_RECORDED.labels(topic).inc(number)

    async def _queued(self, records: Sequence[Sized], attempted: Collection[_Place]) -> _Rows:
        """First attempts; of those whose records are in ``attempted``, the outcome is recorded."""
        rows = []
        async for part in _in_parts(records):
            for record in part:
                if record.topic != self._topics.attempts:
                    place = record.topic, record.partition, record.offset
                    if (row := queued.queued_row(record, attempted=place in attempted)) is not None:
                        rows.append((record, row))
        return _Rows(queued.TABLE, queued.FORMAT, queued.COLUMNS, b"", rows)

    async def _outcomes(self, records: Sequence[Sized]) -> tuple[_Rows, list[tuple[Sized, str]]]:
        """Outcomes, and those that ClickHouse would misunderstand, with the reason."""
        outcomes, unreadable = [], []
        async for part in _in_parts(records):
            for record in part:
                if record.topic != self._topics.attempts:
                    continue
                if not record.value or record.value.lstrip()[:1] != b"{":
                    # ClickHouse takes what is between or around rows, such as a semicolon, for nothing at all.
                    unreadable.append((record, "the record is empty, or no JSON object"))
                elif reason := unread_format(record.headers):
                    unreadable.append((record, reason))
                else:
                    outcomes.append((record, record.value))
        return _Rows("outcomes", "JSONEachRow", (), b"\n", outcomes), unreadable

    async def _insert(self, rows: _Rows) -> list[tuple[Sized, str]]:
        """Insert; returns the records whose rows cannot be read, found by halving, with ClickHouse's reasons."""
        if not rows.rows:
            return []
        try:
            with RECORDER_INSERT_SECONDS.time():
                await self._clickhouse.insert(rows.table, rows.encoded, row_format=rows.format, columns=rows.columns)
        except RejectedRows as error:
            if len(rows.rows) == 1:
                return [(rows.rows[0][0], str(error))]
            middle = len(rows.rows) // 2
            return [*await self._insert(rows.part(0, middle)), *await self._insert(rows.part(middle, None))]
        return []

    async def _commit(self, batch: Batch) -> None:
        if batch.epoch != self._gathering.epoch:
            return
        offsets = {TopicPartition(*where): offset for where, offset in batch.committable.items()}
        try:
            await self._consumer.commit(offsets)
        except (KafkaError, IllegalStateError) as error:
            log.warning("a commit failed; its records may be read again", error=str(error) or type(error).__name__)

    async def _until(self, event: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return


async def _in_parts(rows: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """A few at a time; in between whoever else waits for the event loop has a turn."""
    for start in range(0, len(rows), _AT_ONCE):
        yield rows[start : start + _AT_ONCE]
        await asyncio.sleep(0)


async def _attempted(outcomes: _Rows, refused: Sequence[tuple[Sized, str]]) -> set[_Place]:
    """The records whose attempts the outcomes tell of, but for outcomes that were refused."""
    left_out = _identities(refused)
    places = set()
    async for part in _in_parts(outcomes.rows):
        for record, _ in part:
            if id(record) not in left_out and (place := _attempted_at(record)) is not None:
                places.add(place)
    return places


def _identities(refused: Sequence[tuple[Sized, str]]) -> frozenset[int]:
    return frozenset(id(record) for record, _ in refused)


def _attempted_at(outcome: Sized) -> _Place | None:
    headers = by_name(outcome.headers)
    if not is_final(headers):
        return None
    try:
        topic, offset = told_of(headers)
    except (KeyError, ValueError):
        return None
    return topic, outcome.partition, offset
