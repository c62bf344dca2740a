"""The sender: makes the attempts that wait in ``webhooks.deliveries`` and reports what became of each.

An offset is committed only when the outcome of its attempt, and the retry that follows, have been acknowledged by the
broker. Whoever takes over a partition reads the outcomes of the last minutes back, and skips what was made already.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError

from dispatcher.delivery.conclusion import (
    DELETED,
    DISABLED,
    UNREADABLE,
    Conclusion,
    broken,
    conclude,
    conclude_unmade,
    conclude_without_call,
    in_progress,
)
from dispatcher.delivery.failures import Failure
from dispatcher.delivery.guard import TargetGuard
from dispatcher.delivery.lanes import Lanes, Limits
from dispatcher.delivery.memory import REMEMBERED, RecentAttempts, attempt_key
from dispatcher.delivery.notices import message_failed
from dispatcher.delivery.outcome import Outcome, encode_outcome
from dispatcher.delivery.record import Delivery, UnreadableDelivery, read_delivery
from dispatcher.delivery.takeover import outcome_headers, read_back_from, read_finished
from dispatcher.delivery.target import Request, Target, TargetClient
from dispatcher.durations import milliseconds_of
from dispatcher.errors import ConfigurationError
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.clock import BrokerClock
from dispatcher.kafka.dead_letters import DeadLetters, Record
from dispatcher.kafka.topics import Topics
from dispatcher.kafka.watermark import Watermark
from dispatcher.observability.metrics import ATTEMPT_SECONDS, ATTEMPTS, DUPLICATES, IN_FLIGHT
from dispatcher.settings import Settings
from dispatcher.webhooks.commands import disable_command
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.webhook import Webhook, rfc3339

log = structlog.get_logger()

_Send = Callable[[], Awaitable[asyncio.Future[Any]]]

COMMIT_SECONDS = 0.1
SHOWN_IN_PROGRESS_AFTER_MS = 1_000
HAND_OVER_SECONDS = 3.0
STOP_SECONDS = 5.0
_RETRY_PRODUCE_SECONDS = 0.5
_RECORDS_AT_ONCE = 500
_UNREPORTED_AT_MOST = 5_000
_MOVING_AT_MOST = 5_000

# Parked records whose lane has no room let others pass after a second, some at a time: moving them to the end costs
# less than a call, but not nothing.
_BLOCKED_SECONDS = 1.0
_PASS_AT_ONCE = 200
_CONFIG_WAIT_SECONDS = 10.0
_OVERHEAD_BYTES = 1_500


@dataclass(slots=True, eq=False)
class _Work:
    """An attempt that this sender is to make, and the records that ask for it."""

    delivery: Delivery
    key: int
    due_at: int
    partition: int
    places: list[tuple[Watermark, int]]
    topic: str
    offset: int
    target: Target | None = None
    started_at: int = 0
    reported: bool = False
    task: asyncio.Task[None] | None = None

    @property
    def webhook_id(self) -> str:
        return self.delivery.webhook_id

    @property
    def size(self) -> int:
        return len(self.delivery.body) + _OVERHEAD_BYTES

    def finish(self) -> None:
        for watermark, offset in self.places:
            watermark.finish(offset)


@dataclass(slots=True, eq=False)
class _Partition:
    """What is known of one partition number of deliveries, parked, retries and attempts alike."""

    memory: RecentAttempts = field(default_factory=RecentAttempts)
    works: dict[int, _Work] = field(default_factory=dict)
    done: dict[str, set[int]] = field(default_factory=dict)


class Sender:
    """The role."""

    name = "sender"

    def __init__(
        self,
        settings: Settings,
        clients: KafkaClients,
        topics: Topics,
        follower: ConfigFollower,
        *,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        clock: BrokerClock | None = None,
    ) -> None:
        self._settings = settings
        self._clients = clients
        self._topics = topics
        self._follower = follower
        self._clock = clock or BrokerClock()
        self._lanes: Lanes[_Work] = Lanes(limits, self._rate_of)
        self._partitions: dict[int, _Partition] = {}
        self._watermarks: dict[TopicPartition, Watermark] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._gaps: dict[TopicPartition, int] = {}
        self._executing: dict[int, _Work] = {}
        self._moving: set[asyncio.Task[None]] = set()
        self._blocked: dict[TopicPartition, tuple[float, int]] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._targets: dict[str, tuple[Webhook, Target]] = {}
        self._assigned = asyncio.Event()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Join the group; the first partitions may arrive a little later.

        Raises:
            ConfigurationError: the topics do not have equally many partitions.
        """
        self._client = TargetClient(self._settings, TargetGuard(self._settings.allowed_target_networks))
        self._producer: AIOKafkaProducer = self._clients.producer()
        self._consumer: AIOKafkaConsumer = self._clients.consumer(
            group=self._topics.group(self.name),
            # Range gives the same partitions of deliveries and of parked to the same sender.
            partition_assignment_strategy=(RangePartitionAssignor,),
            rebalance_timeout_ms=30_000,
        )
        self._consumer.subscribe([self._topics.deliveries, self._topics.parked], listener=_Rebalance(self))
        await self._producer.start()
        self._dead_letters = DeadLetters(self._producer, self._topics.dead_letter)
        try:
            await self._check_partitions()
            await self._consumer.start()
        except BaseException:
            await self._producer.stop()
            await self._client.close()
            raise
        self._tasks = [
            asyncio.create_task(loop(), name=f"sender {loop.__name__}")
            for loop in (self._receive, self._commit_regularly, self._report_progress)
        ]

    async def wait(self) -> None:
        """Run until a part of the sender ends by itself."""
        with suppress(asyncio.CancelledError):
            await _first_to_end(self._tasks)

    async def stop(self) -> None:
        """Finish the calls that are being made, for a few seconds, commit, and leave the group."""
        if self._stopping:
            return
        self._stopping = True
        self._assigned.clear()
        if self._alarm is not None:
            self._alarm.cancel()
        receive, *others = self._tasks
        await _cancel([receive])
        self._drop_waiting()
        await self._finish_executing(STOP_SECONDS)
        await self._commit(self._watermarks)
        unfinished = [work.task for work in self._executing.values() if work.task is not None]
        await _cancel([*unfinished, *self._moving, *others])
        await self._consumer.stop()
        await self._producer.stop()
        await self._client.close()

    async def _check_partitions(self) -> None:
        topics = self._topics
        counts = {
            name: len(await self._producer.partitions_for(name))
            for name in (topics.deliveries, topics.parked, topics.attempts, *topics.retry.values())
        }
        if len(set(counts.values())) > 1:
            given = ", ".join(f"{name} has {count}" for name, count in counts.items())
            raise ConfigurationError(f"these topics need equally many partitions: {given}; run dispatcher topics apply")

    # Receiving

    async def _receive(self) -> None:
        while True:
            await self._assigned.wait()
            batches = await self._consumer.getmany(timeout_ms=1_000, max_records=_RECORDS_AT_ONCE)
            for tp, records in batches.items():
                self._accept_all(tp, records)
            for work in self._lanes.overflow():
                self._park(work)
            self._execute_next()
            if len(self._moving) > _MOVING_AT_MOST:
                await asyncio.wait(self._moving, return_when=asyncio.FIRST_COMPLETED)

    def _accept_all(self, tp: TopicPartition, records: Sequence[Record]) -> None:
        watermark = self._watermarks.get(tp)
        if watermark is None:
            return  # the partition was revoked meanwhile: whoever has it now begins at the committed offset
        first = records[0].offset
        if first > watermark.position and self._gaps.get(tp) != watermark.position:
            # Either these were fetched under an earlier assignment, or the log begins later than it did: ask again.
            self._gaps[tp] = watermark.position
            self._consumer.seek(tp, watermark.position)
            return
        for record in records:
            if record.offset >= watermark.position and not self._accept(tp, record, watermark):
                return

    def _accept(self, tp: TopicPartition, record: Record, watermark: Watermark) -> bool:
        """Begin with a record; False if its partition has to wait."""
        now = self._clock.now()
        partition = self._partitions[tp.partition]
        offset = record.offset
        try:
            delivery = read_delivery(record.key, record.value, record.headers)
        except UnreadableDelivery as error:
            watermark.begin(offset, now)
            reason = str(error)
            self._set_aside(lambda: self._dead_letters.send(record, reason), lambda: watermark.finish(offset))
            return True
        key = attempt_key(delivery.message_id, delivery.run, delivery.attempt)
        if key in partition.memory or offset in partition.done.get(tp.topic, ()):
            DUPLICATES.inc()
            watermark.begin(offset, now)
            watermark.finish(offset)
            return True
        known = partition.works.get(key)
        if known is not None:
            watermark.begin(offset, now)
            known.places.append((watermark, offset))
            return True
        if tp.topic == self._topics.parked:
            has_room = self._lanes.has_room_for_parked(delivery.webhook_id)
        else:
            has_room = self._lanes.has_room(delivery.webhook_id, time.monotonic())
        if tp.topic == self._topics.parked and not has_room and not self._may_pass(tp):
            self._consumer.seek(tp, offset)
            self._consumer.pause(tp)
            return False
        watermark.begin(offset, now)
        work = _Work(delivery, key, record.timestamp, tp.partition, [(watermark, offset)], tp.topic, offset)
        if has_room:
            partition.works[key] = work
            self._lanes.add(work)
        else:
            self._park(work)
        return True

    def _may_pass(self, tp: TopicPartition) -> bool:
        """Whether parked records whose lane has no room may go to the end, so that those behind them get a look in."""
        now = time.monotonic()
        blocked_since, passed = self._blocked.setdefault(tp, (now, 0))
        if now - blocked_since < _BLOCKED_SECONDS:
            return False
        if passed >= _PASS_AT_ONCE:
            del self._blocked[tp]
            return False
        self._blocked[tp] = (blocked_since, passed + 1)
        return True

    def _park(self, work: _Work) -> None:
        """Let a delivery wait in ``webhooks.parked``; that is no attempt."""
        self._partitions_of(work).works.pop(work.key, None)
        self._set_aside(lambda: self._send_delivery(self._topics.parked, work.delivery, work.partition), work.finish)

    def _set_aside(self, send: _Send, finish: Callable[[], None]) -> None:
        """Send a record elsewhere, and be done with it when the broker has it."""

        async def move() -> None:
            await _until_acknowledged([send])
            finish()

        task = asyncio.create_task(move())
        self._moving.add(task)
        task.add_done_callback(self._moving.discard)

    # Executing

    def _execute_next(self) -> None:
        if self._stopping or len(self._executing) >= _UNREPORTED_AT_MOST:
            return
        now = time.monotonic()
        for work in self._lanes.take(now):
            self._executing[id(work)] = work
            work.task = asyncio.create_task(self._execute(work))
        turn = self._lanes.next_turn
        if turn is not None:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = asyncio.get_running_loop().call_later(max(turn - now, 0.001), self._execute_next)

    async def _execute(self, work: _Work) -> None:
        IN_FLIGHT.inc()
        try:
            conclusion: Conclusion | None = None
            try:
                conclusion = await self._conclude(work)
            finally:
                IN_FLIGHT.dec()
                success = conclusion is not None and conclusion.outcome["status"] == "successful"
                self._lanes.ended(work, time.monotonic(), success=success)
                self._execute_next()
            await self._report(work, conclusion)
        except asyncio.CancelledError:
            return  # the partition is another sender's now, or this one stops: the record comes again
        finally:
            del self._executing[id(work)]
            self._partitions_of(work).works.pop(work.key, None)
        self._partitions_of(work).memory.add(work.key, self._clock.now())
        work.finish()
        self._execute_next()

    async def _conclude(self, work: _Work) -> Conclusion:
        try:
            return await self._attempt(work)
        except Exception as error:
            # Neither the webhook's other messages nor the partition may suffer from one that we cannot handle.
            log.exception("an attempt could not be made", message_id=work.delivery.message_id)
            return self._unmade(work, broken(error))

    def _unmade(self, work: _Work, failure: Failure) -> Conclusion:
        schedule, now = self._topics.schedule, self._clock.now()
        return conclude_unmade(work.delivery, failure, schedule, due_at=work.due_at, ended_at=now)

    async def _attempt(self, work: _Work) -> Conclusion:
        delivery = work.delivery
        if self._follower.directory.next_offset < delivery.config_offset:
            await self._await_config(delivery.config_offset)
        webhook = self._follower.directory.get(delivery.webhook_id)
        if delivery.webhook_id in self._follower.directory.unreadable:
            return self._unmade(work, UNREADABLE)
        if webhook is None or not webhook.enabled:
            failure = DELETED if webhook is None else DISABLED
            return conclude_without_call(delivery, failure, due_at=work.due_at, ended_at=self._clock.now())
        work.target = target = self._target(webhook)
        work.started_at = self._clock.now()
        request = Request(delivery.message_id, delivery.event_type, delivery.attempt, delivery.body)
        answer = await self._client.call(target, request)
        ATTEMPT_SECONDS.observe(answer.duration_ms / 1000)
        schedule = self._topics.schedule
        return conclude(delivery, target, answer, schedule, due_at=work.due_at, ended_at=self._clock.now())

    async def _await_config(self, offset: int) -> None:
        try:
            async with asyncio.timeout(_CONFIG_WAIT_SECONDS):
                await self._follower.reached(offset)
        except TimeoutError:
            log.warning("the directory of webhooks is behind; going on with what it knows", wanted_offset=offset)

    def _rate_of(self, webhook_id: str) -> float | None:
        webhook = self._follower.directory.get(webhook_id)
        return webhook.rate_limit if webhook is not None else None

    def _target(self, webhook: Webhook) -> Target:
        prepared = self._targets.get(webhook.id)
        if prepared is None or prepared[0] is not webhook:
            prepared = self._targets[webhook.id] = (webhook, Target.of(webhook))
        return prepared[1]

    # Reporting

    async def _report(self, work: _Work, conclusion: Conclusion) -> None:
        """Return when the broker has the outcome and what follows from it."""
        outcome, delivery = conclusion.outcome, work.delivery
        ATTEMPTS.labels(outcome["status"], outcome["reason"]).inc()
        if outcome["status"] == "failed":
            log.info(
                "attempt failed",
                message_id=delivery.message_id,
                webhook_id=delivery.webhook_id,
                run=delivery.run,
                attempt=delivery.attempt,
                error=outcome["error"],
                next_attempt_at=_shown(outcome["next_attempt_at"]),
            )
        sends: list[_Send] = [lambda: self._send_outcome(work, outcome, final=True)]
        if conclusion.retry is not None:
            following = replace(delivery, attempt=conclusion.retry.attempt)
            topic = self._topics.retry[conclusion.retry.delay]
            sends.append(lambda: self._send_delivery(topic, following, work.partition))
        elif outcome["status"] == "failed":
            notice = message_failed(outcome, self._clock.now())
            sends.append(lambda: self._producer.send(self._topics.notices, value=notice, key=delivery.key))
        if conclusion.disables_webhook:
            command = disable_command(delivery.webhook_id, outcome["error"], self._clock.now())
            sends.append(lambda: self._producer.send(self._topics.commands, value=command, key=delivery.key))
        stored, *_ = await _until_acknowledged(sends)
        self._clock.learn(stored.timestamp)

    async def _send_outcome(self, work: _Work, outcome: Outcome, *, final: bool) -> asyncio.Future[Any]:
        delivery = work.delivery
        headers = outcome_headers(
            delivery.message_id, delivery.run, delivery.attempt, final=final, topic=work.topic, offset=work.offset
        )
        future: asyncio.Future[Any] = await self._producer.send(
            self._topics.attempts,
            value=encode_outcome(outcome),
            key=delivery.key,
            headers=headers,
            # Not by key: whoever takes over a partition of deliveries reads the same one of attempts.
            partition=work.partition,
        )
        return future

    async def _send_delivery(self, topic: str, delivery: Delivery, partition: int) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = await self._producer.send(
            topic, value=delivery.body, key=delivery.key, headers=delivery.headers(), partition=partition
        )
        return future

    async def _report_progress(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            before = self._clock.now() - SHOWN_IN_PROGRESS_AFTER_MS
            for work in list(self._executing.values()):
                if work.target is not None and not work.reported and work.started_at <= before:
                    work.reported = True
                    outcome = in_progress(work.delivery, work.target, work.due_at, work.started_at)
                    with suppress(KafkaError):  # what is shown for a few seconds is not worth a second try
                        await self._send_outcome(work, outcome, final=False)
            self._lanes.look(time.monotonic())
            self._execute_next()
            # Parked records whose lanes had no room are looked at again.
            self._consumer.resume(*self._consumer.paused())

    # Committing

    async def _commit_regularly(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            await self._commit(self._watermarks)

    async def _commit(self, watermarks: Mapping[TopicPartition, Watermark]) -> None:
        now = self._clock.now()
        offsets = {
            tp: (watermark.committable, str(watermark.since(now)))
            for tp, watermark in watermarks.items()
            if watermark.committable > self._committed.get(tp, -1)
        }
        if not offsets:
            return
        try:
            await self._consumer.commit(offsets)
        except (KafkaError, IllegalStateError) as error:
            log.debug("offsets not committed; they will be with the next ones", error=str(error))
        else:
            self._committed.update({tp: offset for tp, (offset, _) in offsets.items()})

    # Rebalancing

    async def revoked(self) -> None:
        """Finish what is being executed, within a deadline, and commit."""
        self._assigned.clear()
        watermarks, self._watermarks = self._watermarks, {}
        self._drop_waiting()
        await self._finish_executing(HAND_OVER_SECONDS)
        await self._commit(watermarks)

    async def assigned(self, tps: Collection[TopicPartition]) -> None:
        """Learn what was made in these partitions lately, and begin.

        What is still being executed in a partition that came back goes on; in one that did not it is given up.
        """
        before, numbers = self._partitions, {tp.partition for tp in tps}
        for lost in before.keys() - numbers:
            for work in before[lost].works.values():
                if work.task is not None:
                    work.task.cancel()
        self._partitions = {
            number: _Partition(works=before[number].works) if number in before else _Partition() for number in numbers
        }
        positions = {tp: await self._consumer.position(tp) for tp in tps}
        await self._learn(positions)
        self._committed, self._gaps = {}, {}
        self._blocked = {}
        self._watermarks = {tp: Watermark(position) for tp, position in positions.items()}
        self._assigned.set()

    async def _learn(self, positions: Mapping[TopicPartition, int]) -> None:
        since = await self._working_since(positions)
        now = self._clock.now()
        starts = {number: read_back_from(now, since.get(number)) for number in self._partitions}
        remembered = now - milliseconds_of(REMEMBERED)
        async for number, finished in read_finished(self._clients, self._topics.attempts, starts):
            partition = self._partitions[number]
            if finished.at >= remembered:
                partition.memory.add(finished.key, finished.at)
            elif finished.offset >= positions.get(TopicPartition(finished.topic, number), 0):
                partition.done.setdefault(finished.topic, set()).add(finished.offset)

    async def _working_since(self, tps: Iterable[TopicPartition]) -> dict[int, int]:
        """When the first uncommitted delivery of each partition was begun, as its last owner noted it."""
        admin = self._clients.admin()
        await admin.start()
        try:
            committed = await admin.list_consumer_group_offsets(self._topics.group(self.name), partitions=list(tps))
        finally:
            await admin.close()
        since: dict[int, int] = {}
        for tp, (_, metadata) in committed.items():
            if metadata.isdigit():
                since[tp.partition] = min(int(metadata), since.get(tp.partition, int(metadata)))
        return since

    def _drop_waiting(self) -> None:
        for work in self._lanes.drop_waiting():
            self._partitions_of(work).works.pop(work.key, None)

    async def _finish_executing(self, seconds: float) -> None:
        tasks = [work.task for work in self._executing.values() if work.task is not None] + list(self._moving)
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    def _partitions_of(self, work: _Work) -> _Partition:
        return self._partitions.get(work.partition) or _Partition()


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def on_partitions_revoked(self, _revoked: Iterable[TopicPartition]) -> None:
        await self._sender.revoked()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        await self._sender.assigned(assigned)


async def _until_acknowledged(sends: Sequence[_Send]) -> list[Any]:
    while True:
        try:
            futures = [await send() for send in sends]
            return [await future for future in futures]
        except KafkaError as error:
            log.warning("Kafka does not take an outcome; trying again", error=str(error))
            await asyncio.sleep(_RETRY_PRODUCE_SECONDS)


def _shown(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else rfc3339(datetime.fromtimestamp(milliseconds / 1000, UTC))


async def _first_to_end(tasks: Sequence[asyncio.Task[None]]) -> None:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        await task


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
