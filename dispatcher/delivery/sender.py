"""The sender: makes the attempts that wait in Kafka to be made now, and reports what became of each.

An offset is committed only when the outcome of its attempt, and the retry that follows, have been acknowledged by the
broker. Whoever takes over a partition reads the outcomes of the last minutes back, and skips what was made already.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError

from dispatcher.delivery.admission import Admission
from dispatcher.delivery.attempt import AttemptMaker
from dispatcher.delivery.commits import Commits
from dispatcher.delivery.conclusion import Conclusion, is_made
from dispatcher.delivery.guard import TargetGuard
from dispatcher.delivery.lanes import Lanes, Limits
from dispatcher.delivery.outcome import Outcome
from dispatcher.delivery.parking import Parking
from dispatcher.delivery.passing import Passing
from dispatcher.delivery.record import Delivery, Headers, UnreadableDelivery, due_at, parked_headers, read_delivery
from dispatcher.delivery.reports import Reports
from dispatcher.delivery.rounds import Rounds
from dispatcher.delivery.takeover import take_over
from dispatcher.delivery.target import TargetClient
from dispatcher.delivery.work import Partition, Place, Work, finish
from dispatcher.errors import DispatcherError
from dispatcher.kafka.administration import connected
from dispatcher.kafka.batching import Stored
from dispatcher.kafka.broker_time import leaders_time
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.clock import BrokerClock
from dispatcher.kafka.dead_letters import Record
from dispatcher.kafka.fetching import fetch_evenly, fetch_promptly
from dispatcher.kafka.groups import Group
from dispatcher.kafka.polling import take_evenly
from dispatcher.kafka.topics import Topics
from dispatcher.kafka.watermark import Watermark
from dispatcher.observability.metrics import DUPLICATES, REBALANCES, show_lanes
from dispatcher.observability.trace_context import logged
from dispatcher.settings import Settings
from dispatcher.webhooks.follower import ConfigFollower

if TYPE_CHECKING:
    from dispatcher.observability.tracing import Tracing

log = structlog.get_logger()

COMMIT_SECONDS = 0.1
SHOWN_IN_PROGRESS_AFTER_MS = 1_000
HAND_OVER_SECONDS = 3.0
STOP_SECONDS = 5.0
_LOOK_SECONDS = 0.25
_TRY_AGAIN_SECONDS = 1.0
_RECORDS_AT_ONCE = 64
_RECORDS_BESIDE_OTHERS = 16
_UNREPORTED_AT_MOST = 5_000
_UNREPORTED_BYTES = 128 * 1024 * 1024
_SETTING_ASIDE_AT_MOST = 500

# What a round of the event loop should take at most while others are around: everybody waits for a dozen of them.
_ROUND_SECONDS = 0.0002

# While so much waits here for nothing but its turn, what webhooks have beyond a little waits in Kafka.
_BULK_BYTES = 8 * 1024 * 1024


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
        clock: BrokerClock | None = None,
        tracing: "Tracing | None" = None,
    ) -> None:
        self._settings = settings
        self._clients = clients
        self._topics = topics
        self._follower = follower
        self._clock = clock or BrokerClock()
        self._tracing = tracing
        self._lanes: Lanes[Work] = Lanes(Limits(), self._rate_of)
        self._rebalances = REBALANCES.labels(self.name)
        self._partitions: dict[int, Partition] = {}
        self._watermarks: dict[TopicPartition, Watermark] = {}
        self._commits = Commits()
        self._gaps: dict[TopicPartition, int] = {}
        self._executing: dict[int, Work] = {}
        self._one_executed = asyncio.Event()
        self._unreported_bytes = 0
        """Of the bodies of attempts that were made and that the broker has not heard of."""
        self._setting_aside: set[asyncio.Task[None]] = set()
        self._blocking: dict[TopicPartition, str] = {}
        """The webhook of the first record of each partition of parked ones that waits for room in its lane."""
        self._passing: Passing[TopicPartition] = Passing()
        self._alarm: asyncio.TimerHandle | None = None
        self._beginning: asyncio.Handle | None = None
        self._rounds = Rounds()
        self._admission = Admission(self._lanes)
        self._round_began = 0.0
        self._behind = False
        self._last: set[TopicPartition] = set()
        """Partitions where nobody minds: what is parked, and what is of much at once."""
        self._bulk: set[TopicPartition] = set()
        self._bulk_held = False
        self._assigned = asyncio.Event()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._taking_over: asyncio.Task[None] | None = None
        self._broken: asyncio.Future[None]

    async def start(self) -> None:
        """Join the group; the first partitions may arrive a little later."""
        self._broken = asyncio.get_running_loop().create_future()
        guard = TargetGuard(self._settings.allowed_target_networks)
        self._client = TargetClient(self._settings, guard, now=lambda: self._clock.now() / 1000)
        self._producer: AIOKafkaProducer = self._clients.producer()
        self._consumer: AIOKafkaConsumer = self._clients.consumer(
            group=self._topics.group(Group.SENDER),
            member=self._clients.membership(self.name),
            # Range gives the same partitions of all its topics to the same sender.
            partition_assignment_strategy=(RangePartitionAssignor,),
            rebalance_timeout_ms=15_000,
        )
        self._consumer.subscribe(self._topics.to_send, listener=_Rebalance(self))
        await self._producer.start()
        self._reports = Reports(self._producer, self._topics, self._clock)
        self._parking = Parking(self._producer, self._topics.parked)
        schedule, clock = self._topics.schedule, self._clock
        self._attempts = AttemptMaker(self._client, self._follower, schedule, clock, self._tracing)
        try:
            await self._consumer.start()
            fetch_promptly(self._consumer)
            fetch_evenly(self._consumer, last=(self._topics.bulk, self._topics.parked))
        except BaseException:
            await self._producer.stop()
            await self._client.close()
            raise
        show_lanes(self._lanes)
        self._tasks = [
            asyncio.create_task(loop(), name=f"sender {loop.__name__}")
            for loop in (self._receive, self._commit_regularly, self._look_regularly)
        ]

    async def wait(self) -> None:
        """Run until a part of the sender ends by itself."""
        with suppress(asyncio.CancelledError):
            await _first_to_end([*self._tasks, self._broken])

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
        await self._give_up_taking_over()
        self._drop_waiting()
        await self._finish_executing(STOP_SECONDS)
        await self._commit(self._watermarks, leaving=True)
        unfinished = list(self._executing.values())
        for work in unfinished:
            self._give_up(work)
        tasks = [work.task for work in unfinished if work.task is not None]
        await _cancel([*tasks, *self._parking.tasks, *self._setting_aside, *others])
        await self._consumer.stop()
        await self._producer.stop()
        await self._client.close()

    # Receiving

    async def _receive(self) -> None:
        while True:
            await self._assigned.wait()
            at_once = _RECORDS_BESIDE_OTHERS if self._lanes.others.around(time.monotonic()) else _RECORDS_AT_ONCE
            batches = await take_evenly(self._consumer, last=self._last, timeout_ms=1_000, records=at_once)
            self._behind = any(len(records) == at_once for tp, records in batches.items() if tp not in self._last)
            accepted = 0
            for tp, records in batches.items():
                self._accept_all(tp, records)
                self._execute_next()
                accepted += len(records)
                if accepted >= at_once:
                    accepted = 0
                    await asyncio.sleep(0)  # what is being executed goes on in between
            self._send_away(self._lanes.overflow())
            self._hold_bulk()
            await asyncio.sleep(0)
            await self._parking.room()
            if len(self._setting_aside) > _SETTING_ASIDE_AT_MOST:
                await asyncio.wait(self._setting_aside, return_when=asyncio.FIRST_COMPLETED)

    def _send_away(self, waited: Iterable[Work]) -> None:
        for work in waited:
            self._forget(work)
            headers = parked_headers(work.delivery.headers(), work.due_at)
            self._park(work.partition, work.delivery, work.key, headers, work.places)
            self._passing.parked(TopicPartition(self._topics.parked, work.partition), work.webhook_id)

    def _park(self, number: int, delivery: Delivery, key: int, headers: Headers, places: list[Place]) -> None:
        partition = self._partitions.get(number)
        if partition is not None:
            partition.being_parked[key] = places
        parked = partial(self._parked, partition, key, places)
        self._parking.park(number, delivery.key, delivery.body, headers, parked)

    def _parked(self, partition: Partition | None, key: int, places: list[Place]) -> None:
        finish(places)
        if partition is not None:
            if partition.being_parked.get(key) is places:
                del partition.being_parked[key]
            partition.parked_lately.add(key, self._clock.now())

    def _hold_bulk(self) -> None:
        """Have more of ``webhooks.bulk`` wait in Kafka while much waits here for nothing but its turn."""
        if not self._assigned.is_set():
            return
        if not self._bulk_held and self._lanes.ready_bytes > _BULK_BYTES:
            self._bulk_held = True
            self._consumer.pause(*self._bulk)
        elif self._bulk_held and self._lanes.ready_bytes < _BULK_BYTES // 2:
            self._bulk_held = False
            self._consumer.resume(*self._bulk)

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
        now, monotonic = self._clock.now(), time.monotonic()
        partition = self._partitions[tp.partition]
        offset = record.offset
        parked = tp.topic == self._topics.parked
        try:
            delivery = read_delivery(record.key, record.value, record.headers)
        except UnreadableDelivery as error:
            watermark.begin(offset, now)
            task = asyncio.create_task(self._set_aside(record, str(error), watermark))
            self._setting_aside.add(task)
            task.add_done_callback(self._setting_aside.discard)
            return True
        key = delivery.attempt_key
        due = due_at(record) if parked else record.timestamp
        if partition.is_dealt_with(key, tp.topic, offset, _asked_at(delivery, due), parked=parked):
            DUPLICATES.inc()
            watermark.begin(offset, now)
            watermark.finish(offset)
            return True
        has_room = False
        if parked:
            webhook_id = delivery.webhook_id
            has_room = self._lanes.has_room_for_parked(webhook_id, monotonic)
            end = self._consumer.highwater(tp) or 0
            if not has_room and not self._passing.may_pass(tp, webhook_id, offset, end, monotonic):
                self._blocking[tp] = webhook_id
                self._consumer.seek(tp, offset)
                self._consumer.pause(tp)
                return False
        known = partition.at_hand.get(key)
        watermark.begin(offset, now)
        # What is read there may be what is on its way there.
        moving = None if parked else partition.being_parked.get(key)
        if known is not None:
            known.places.append((watermark, offset))
        elif moving is not None:
            moving.append((watermark, offset))
        elif has_room or (not parked and self._lanes.has_room(delivery.webhook_id, monotonic)):
            places = [(watermark, offset)]
            of_much = tp.topic != self._topics.deliveries
            work = Work(delivery, key, due, tp.partition, tp.topic, offset, places, of_much)
            partition.at_hand[key] = work
            partition.parked.pop(key, None)
            if parked:
                partition.parked_lately.discard(key)
            self._lanes.add(work)
        else:
            headers = parked_headers(list(record.headers), due)
            self._park(tp.partition, delivery, key, headers, [(watermark, offset)])
            if not parked:
                self._passing.parked(TopicPartition(self._topics.parked, tp.partition), delivery.webhook_id)
        return True

    async def _set_aside(self, record: Record, reason: str, watermark: Watermark) -> None:
        await self._reports.dead_letter(record, reason)
        watermark.finish(record.offset)

    # Executing

    def _execute_next(self) -> None:
        if self._beginning is None:
            self._beginning = asyncio.get_running_loop().call_soon(self._begin_some)
            self._round_began = time.monotonic()

    def _begin_some(self) -> None:
        """Begin a few attempts; when more could begin, the next few follow when the event loop has come round."""
        self._beginning = None
        now = time.monotonic()
        room = min(self._rounds.begin(now, behind=self._behind), _UNREPORTED_AT_MOST - len(self._executing))
        if self._stopping or room <= 0 or self._unreported_bytes > _UNREPORTED_BYTES:
            return
        if self._bulk_held:
            self._hold_bulk()
        begun = self._admission.admit(now, room, strained=now - self._round_began > _ROUND_SECONDS)
        for work in begun:
            self._executing[id(work)] = work
            self._go_on(work, partial(self._execute, work))
        if len(begun) >= room:
            self._execute_next()
        elif (seconds := self._admission.next_in(now)) is not None:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = asyncio.get_running_loop().call_later(seconds, self._execute_next)

    def _go_on(self, work: Work, do: Callable[[], Coroutine[Any, Any, None]]) -> None:
        work.task = asyncio.create_task(self._or_set_aside(work, do))
        work.task.add_done_callback(partial(self._ended, work))

    async def _or_set_aside(self, work: Work, do: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await do()
        except Exception as error:
            log.exception(
                "an attempt ended in an error that nobody thought of; its record is set aside",
                message_id=work.delivery.message_id,
                webhook_id=work.webhook_id,
                **logged(work.delivery.trace),
            )
            await self._reports.dead_letter(work.record, f"its outcome cannot be told: {error!r}")
            finish(work.places)

    async def _execute(self, work: Work) -> None:
        conclusion = await self._attempts.make(work)
        self._call_ended(work, conclusion)
        partition = self._partitions.get(work.partition)
        if conclusion.outcome["status"] == "successful":
            told = partial(self._told, work, partition, conclusion.outcome)
            self._reports.success(work, conclusion.outcome, told)
            work.reporting = True
        else:
            stored_at = await self._reports.conclusion(work, conclusion)
            self._reported(work, partition, stored_at, called=is_made(conclusion.outcome))

    def _told(self, work: Work, partition: Partition | None, outcome: Outcome, became: Stored | Exception) -> None:
        """The broker has what became of an attempt, or has refused it, for a reason that may be another one's."""
        if self._executing.get(id(work)) is not work:
            return  # given up meanwhile
        work.reporting = False
        if isinstance(became, Exception):
            self._go_on(work, partial(self._tell_again, work, partition, outcome))
        else:
            self._reported(work, partition, became.offset)
            self._executed(work)

    async def _tell_again(self, work: Work, partition: Partition | None, outcome: Outcome) -> None:
        self._reported(work, partition, await self._reports.outcome(work, outcome))

    def _reported(self, work: Work, partition: Partition | None, stored_at: int, *, called: bool = True) -> None:
        if partition is not None:
            if called:
                partition.made.add(work.key, self._clock.now())
            if self._assigned.is_set():  # otherwise somebody else's outcomes may stand before this one
                partition.read_to = max(partition.read_to or 0, stored_at + 1)
        finish(work.places)

    def _call_ended(self, work: Work, conclusion: Conclusion | None) -> None:
        work.called = True
        self._unreported_bytes += len(work.delivery.body)
        success = conclusion is not None and conclusion.outcome["status"] == "successful"
        self._lanes.ended(work, time.monotonic(), success=success)
        self._execute_next()

    def _ended(self, work: Work, _: asyncio.Task[None]) -> None:
        if not work.reporting:
            self._executed(work)

    def _give_up(self, work: Work) -> None:
        if work.reporting:
            self._executed(work)
        elif work.task is not None:
            work.task.cancel()

    def _executed(self, work: Work) -> None:
        """The attempt is over, or was given up: the partition is another sender's now, or this one stops."""
        if not work.called:
            self._call_ended(work, None)
        del self._executing[id(work)]
        self._unreported_bytes -= len(work.delivery.body)
        self._forget(work)
        self._one_executed.set()
        self._execute_next()

    def _forget(self, work: Work) -> None:
        partition = self._partitions.get(work.partition)
        if partition is not None and partition.at_hand.get(work.key) is work:
            del partition.at_hand[work.key]

    def _rate_of(self, webhook_id: str) -> float | None:
        webhook = self._follower.directory.get(webhook_id)
        return webhook.rate_limit if webhook is not None else None

    async def _look_regularly(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            before = self._clock.now() - SHOWN_IN_PROGRESS_AFTER_MS
            for work in list(self._executing.values()):
                if not work.shown_in_progress and not work.called and 0 < work.started_at <= before:
                    work.shown_in_progress = True
                    await self._reports.in_progress(work)
            self._send_away(self._lanes.look(time.monotonic()))
            self._execute_next()
            self._unblock(time.monotonic())

    def _unblock(self, now: float) -> None:
        has_room = partial(self._lanes.has_room_for_parked, now=now)
        for tp, webhook_id in list(self._blocking.items()):
            if has_room(webhook_id) or self._passing.due(tp, now, has_room):
                del self._blocking[tp]
                self._consumer.resume(tp)

    # Committing

    async def _commit_regularly(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            await self._commit(self._watermarks)

    async def _commit(self, watermarks: Mapping[TopicPartition, Watermark], *, leaving: bool = False) -> None:
        now = self._clock.now()
        offsets = self._commits.due(watermarks, now, leaving=leaving)
        if not offsets:
            return
        try:
            await self._consumer.commit(offsets)
        except (KafkaError, IllegalStateError) as error:
            log.debug("offsets not committed; they will be with the next ones", error=str(error))
        else:
            self._commits.done(offsets, now)

    # Rebalancing

    async def revoked(self) -> None:
        """Finish what is being executed, within a deadline, and commit."""
        self._assigned.clear()
        await self._give_up_taking_over()
        watermarks, self._watermarks = self._watermarks, {}
        self._blocking.clear()
        self._drop_waiting()
        await self._finish_executing(HAND_OVER_SECONDS)
        await self._commit(watermarks, leaving=True)

    async def assigned(self, tps: Collection[TopicPartition]) -> None:
        """Begin to learn what was made in these partitions lately, and then go on with them.

        What is still being executed in a partition that came back goes on; in one that did not it is given up.
        """
        before, numbers = self._partitions, {tp.partition for tp in tps}
        for lost in before.keys() - numbers:
            for work in list(before[lost].at_hand.values()):
                self._give_up(work)
        self._partitions = {number: before.get(number) or Partition() for number in numbers}
        self._consumer.pause(*tps)  # nobody takes what would be fetched
        # Not here: no heartbeat is sent until this returns, and who sends none is thrown out of the group.
        self._taking_over = asyncio.create_task(self._begin_with(tps), name="sender takeover")
        self._taking_over.add_done_callback(self._taken_over)
        self._rebalances.inc()

    async def _begin_with(self, tps: Collection[TopicPartition]) -> None:
        positions = await self._take_over(tps)
        if self._taking_over is not asyncio.current_task():
            return  # given up, at a moment at which that could not be told
        self._commits.forget()
        self._gaps = {}
        self._passing.clear()
        self._watermarks = {tp: Watermark(position) for tp, position in positions.items()}
        self._last = {tp for tp in tps if tp.topic != self._topics.deliveries}
        self._bulk, self._bulk_held = {tp for tp in tps if tp.topic == self._topics.bulk}, False
        for tp, position in positions.items():
            self._consumer.seek(tp, position)
        self._consumer.resume(*tps)
        self._assigned.set()

    def _taken_over(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not self._broken.done():
            self._broken.set_exception(error)

    async def _give_up_taking_over(self) -> None:
        given_up, self._taking_over = self._taking_over, None
        if given_up is not None:
            await _cancel([given_up])

    async def _take_over(self, tps: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        while True:
            try:
                await self._ask_the_time()
                return await take_over(
                    self._clients,
                    self._topics,
                    self._topics.group(Group.SENDER),
                    tps,
                    partitions=self._partitions,
                    now=self._clock.now(),
                )
            except (KafkaError, OSError, DispatcherError) as error:
                log.warning("what was made lately cannot be read back; trying again", error=str(error))
                await asyncio.sleep(_TRY_AGAIN_SECONDS)

    async def _ask_the_time(self) -> None:
        """Learn Kafka's time before the first call is signed, and before it is asked what was made lately."""
        if self._clock.confirmed:
            return
        async with connected(self._clients) as admin:
            began = self._clock.elapsed()
            told = await leaders_time(admin)
        if told is not None:
            self._clock.learn(told, began)

    def _drop_waiting(self) -> None:
        for work in self._lanes.drop_waiting():
            self._forget(work)
            partition = self._partitions.get(work.partition)
            if work.topic == self._topics.parked and partition is not None:
                partition.parked[work.key] = work.offset

    async def _finish_executing(self, seconds: float) -> None:
        self._parking.flush()
        executed = asyncio.create_task(self._all_executed())
        await asyncio.wait([executed, *self._parking.tasks, *self._setting_aside], timeout=seconds)
        await _cancel([executed])

    async def _all_executed(self) -> None:
        while self._executing:
            self._one_executed.clear()
            await self._one_executed.wait()


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def on_partitions_revoked(self, _revoked: Iterable[TopicPartition]) -> None:
        await self._sender.revoked()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        await self._sender.assigned(assigned)


async def _first_to_end(tasks: Sequence[asyncio.Future[None]]) -> None:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        await task


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _asked_at(delivery: Delivery, due: int) -> int:
    """What memory is asked of an attempt: publishers repeat first ones alone, and others are copies however late."""
    return due if delivery.attempt == 1 else 0
