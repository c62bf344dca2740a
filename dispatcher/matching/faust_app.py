"""The Faust app of the matcher: what of Faust is used, and what is switched off.

Faust gives the stream of events: fetching, rebalances, back-pressure and the commits of what was acknowledged. Its
producer, tables, web server, leader election and monitoring are not used, and its consumer has no thread of its own.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import faust
import structlog
from faust.app.base import BootStrategy
from faust.auth import SASLCredentials, SSLCredentials
from faust.sensors.monitor import Monitor
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode import CrashingSupervisor
from mode.utils.futures import maybe_async, notify
from mode.utils.queues import ThrowableQueue

from dispatcher.delivery.memory import REMEMBERED
from dispatcher.durations import milliseconds_of
from dispatcher.kafka.clients import HEARTBEAT_MS, METADATA_MAX_AGE_MS, KafkaClients, Membership
from dispatcher.kafka.fetching import fetch_evenly, fetch_promptly, holds_records
from dispatcher.kafka.positions import positions_within
from dispatcher.kafka.watermark import Watermark
from dispatcher.matching.turns import Turns
from dispatcher.observability.metrics import REBALANCES

COMMIT_SECONDS = 0.1
"""How often acknowledged offsets are committed: after a kill, at most this much is matched again."""

FINISH_SECONDS = 3.0
"""How long what was taken from the stream may take when partitions are given up; the rest is matched again."""

_REBALANCE_SECONDS = 15.0

BUFFERED_BYTES = 128 * 1024 * 1024
"""Of events that were fetched and wait for the agent: how far it sees past an organization that floods."""

_OVERHEAD_BYTES = 400
"""What a record takes in memory beside its value."""

_OF_A_PARTITION_AT_ONCE = 500

_BUFFER_POLL_SECONDS = 0.002

_NEVER_ASKED = 0
"""Since when an event is being dealt with."""

log = structlog.get_logger()

Agent = Callable[[Any], Awaitable[None]]
GiveUp = Callable[[], Awaitable[None]]


def faust_app(
    clients: KafkaClients,
    group: str,
    member: Membership,
    topics: Iterable[str],
    agent: Agent,
    *,
    give_up: GiveUp,
    on_hold: Callable[[], bool],
) -> faust.App:
    """An app that runs ``agent`` over the raw records of ``topics``, from the earliest where the group is new.

    ``give_up`` is called where what the agent has in its hands takes too long, and somebody else is to have it. While
    ``on_hold`` says so, nothing is fetched, though the app stays in its group.
    """
    app = _App(
        group,
        give_up,
        on_hold,
        broker=[f"kafka://{server.strip()}" for server in clients.bootstrap_servers.split(",")],
        broker_client_id=group,
        broker_credentials=_credentials(clients.security),
        broker_commit_interval=COMMIT_SECONDS,
        broker_session_timeout=member.session_ms / 1000,
        broker_heartbeat_interval=HEARTBEAT_MS / 1000,
        broker_rebalance_timeout=_REBALANCE_SECONDS,
        consumer_group_instance_id=member.instance_id,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
        # What was taken from the stream is finished before partitions are given up, or the program ends.
        stream_wait_empty=True,
        cython_optimizations=True,
        store="memory://",
        processing_guarantee="at_least_once",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        autodiscover=False,
        # An agent that is started again after an error would acknowledge past what it had in its hands.
        agent_supervisor=CrashingSupervisor,
        Monitor=_NoMonitor,
    )
    app.transport = _Transport(app.conf.broker_consumer, app, loop=asyncio.get_running_loop())
    events = app.topic(*topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    app.agent(events, name="matcher", concurrency=1)(agent)
    return app


def _credentials(security: dict[str, Any]) -> SASLCredentials | SSLCredentials | None:
    context = security.get("ssl_context")
    if "sasl_mechanism" in security:
        return SASLCredentials(
            username=security["sasl_plain_username"],
            password=security["sasl_plain_password"],
            mechanism=security["sasl_mechanism"],
            ssl_context=context,
        )
    return SSLCredentials(context) if context is not None else None


class _Boot(BootStrategy):
    enable_kafka_producer = False
    enable_web = False


class _App(faust.App):
    BootStrategy = _Boot

    def __init__(self, group: str, give_up: GiveUp, on_hold: Callable[[], bool], **options: Any) -> None:
        super().__init__(group, **options)
        self.give_up = give_up
        self.on_hold = on_hold

    async def on_first_start(self) -> None:
        # Faust would create directories for tables here; there are none.
        return

    def FlowControlQueue(self, *_: Any, **options: Any) -> "_EventQueue":  # noqa: N802 - Faust's name
        return _EventQueue(self, flow_control=self.flow_control, **options)


class _Fetched(NamedTuple):
    record: Any
    generation: int
    """Of the assignment under which it was fetched."""


class _EventQueue(ThrowableQueue[Any]):
    """Records wait as they were fetched, and become Faust's events when they are taken out, twice as large."""

    # asyncio's own, of which typeshed does not tell.
    _unfinished_tasks: int
    _finished: asyncio.Event
    _getters: deque[asyncio.Future[None]]
    _wakeup_next: Callable[[deque[asyncio.Future[None]]], None]

    def __init__(self, app: "_App", **options: Any) -> None:
        self._app = app
        self._newcomer = asyncio.Event()
        super().__init__(**options)

    def _init(self, _: int) -> None:
        self._queue = self.turns = Turns[_Fetched](key_of=lambda fetched: fetched.record.key, size_of=_bytes_of)

    def put_fetched(self, records: Sequence[Any], generation: int) -> None:
        """Have records of a partition wait, whatever room there is, and wake up who waits for one."""
        for record in records:
            self._put(_Fetched(record, generation))
        self._unfinished_tasks += len(records)
        self._finished.clear()
        self._wakeup_next(self._getters)
        if self.turns.has_newcomer:
            self._newcomer.set()

    async def newcomer(self, seconds: float) -> None:
        """Return when there are events of somebody who has had no turn lately, or after so many seconds."""
        self._newcomer.clear()
        if self.turns.has_newcomer or not seconds:
            await asyncio.sleep(0)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._newcomer.wait()

    def _get(self) -> Any:
        record, generation = super()._get()
        message = ConsumerMessage(
            record.topic,
            record.partition,
            record.offset,
            record.timestamp / 1000,
            record.timestamp_type,
            record.headers,
            record.key,
            record.value,
            record.checksum,
            record.serialized_key_size,
            record.serialized_value_size,
            TP(record.topic, record.partition),
            generation_id=generation,
        )
        message.incref()
        return faust.Event(self._app, message.key, message.value, message.headers, message)


def _bytes_of(fetched: _Fetched) -> int:
    return len(fetched.record.value or b"") + _OVERHEAD_BYTES


class _NoMonitor(Monitor):
    # Faust's own keeps and samples the times of every event, which costs more than matching it.

    def on_message_in(self, *_: Any) -> None:
        return

    def on_stream_event_in(self, *_: Any) -> None:
        return

    def on_stream_event_out(self, *_: Any) -> None:
        return

    def on_message_out(self, *_: Any) -> None:
        return

    def track_tp_end_offset(self, *_: Any) -> None:
        return

    def on_tp_commit(self, *_: Any) -> None:
        return


class _ConsumerHere(AIOKafkaConsumerThread):
    """A consumer in the matcher's own event loop.

    Faust's own has a thread and a loop to itself, so that an agent that is busy for long keeps no heartbeat waiting.
    The matcher is busy for 2 ms at most, and to hand an event to another thread costs as much as to match it.
    """

    _serving: asyncio.Task[None] | None = None

    def __init__(self, consumer: "_Consumer", **options: Any) -> None:
        super().__init__(consumer, thread_loop=options["loop"], **options)

    async def start(self) -> None:
        self._thread_started.set()
        self._thread_running = started = self.parent_loop.create_future()
        self._serving = asyncio.create_task(self._serve())
        # What ends it has crashed the app, and need not be told again.
        self._serving.add_done_callback(lambda serving: serving.cancelled() or serving.exception())
        try:
            await started
        finally:
            self._thread_running = None

    async def stop(self) -> None:
        await super().stop()
        if self._serving is not None:
            await asyncio.wait([self._serving])

    async def on_thread_started(self) -> None:
        return  # with a queue of what others want to be called in the thread

    async def call_thread(self, fun: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        return await maybe_async(fun(*args, **options))

    async def _gather_remaining_tasks(self) -> None:
        return  # those of the whole loop

    async def on_start(self) -> None:
        await super().on_start()
        consumer = self._ensure_consumer()
        fetch_promptly(consumer)
        fetch_evenly(consumer)

    async def seek_to_committed(self) -> Any:
        consumer = self._ensure_consumer()
        answer = await super().seek_to_committed()
        committed = {tp: offset for tp, offset in answer.items() if offset is not None and offset >= 0}
        remembered = round(time.time() * 1000) - milliseconds_of(REMEMBERED)
        positions = await positions_within(consumer, committed, remembered)
        for tp, position in positions.items():
            if position != committed[tp]:
                consumer.seek(tp, position)
        return {**answer, **positions}

    async def _fetch_records(
        self, consumer: Any, active_partitions: Any, timeout: float | None = None, max_records: int | None = None
    ) -> Any:
        app: Any = self.consumer.app
        if app.on_hold():
            # What seems to ask for nothing for long is taken for stuck, and leaves its group.
            with consumer._subscription.fetch_context():  # noqa: SLF001
                await asyncio.sleep(timeout or 0)
            return {}
        # Faust's own takes all that has been fetched of one partition, thousands of records where somebody floods it,
        # before it looks at the others.
        del max_records
        most = _OF_A_PARTITION_AT_ONCE
        taken = await super()._fetch_records(consumer, active_partitions, timeout, most)
        more = taken
        while more and holds_records(consumer) and (others := active_partitions - taken.keys()):
            more = await super()._fetch_records(consumer, others, 0, most)
            taken = {**taken, **more}
        return taken


class _Consumer(Consumer):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._watermarks: dict[TP, Watermark] = {}
        """Of the partitions of which something was handed on since they were assigned."""

    def _new_consumer_thread(self) -> _ConsumerHere:
        return _ConsumerHere(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        # Faust's own starts four tasks for every record, so that a full buffer cannot hold up a rebalance, and then
        # looks up anew who wants the record and how it is decoded. Here there is one reader, of raw bytes: the room
        # is waited for before a record is handed on, which then cannot block.
        try:
            (events,) = self.app.topics
            queue: Any = events.queue
            while not (self.should_stop or fetcher.should_stop):
                await asyncio.sleep(0)
                await self._hand_on(queue)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    async def _hand_on(self, queue: "_EventQueue") -> None:
        app = self.app
        found, active = await self._wait_next_records(1.0)
        generation = app.consumer_generation_id
        if not found or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        for partition, records in found.items():
            if active is not None and partition not in active and partition not in self._buffered_partitions:
                continue
            if queue.turns.bytes >= BUFFERED_BYTES:
                await self._wait_for_room(queue.turns)
            if not self._may_hand_on(generation):
                break
            following = self._read_offset[partition]
            unread = records if following is None else [record for record in records if record.offset >= following]
            if unread:
                watermark = self._watermarks.setdefault(partition, Watermark(unread[0].offset))
                for record in unread:
                    watermark.begin(record.offset, _NEVER_ASKED)
                # Faust's own has what was read last here, and after a seek what follows: the last came twice.
                self._read_offset[partition] = watermark.position
                queue.put_fetched(unread, generation)

    def _may_hand_on(self, generation: int) -> bool:
        """Whether partitions are still those under which something was fetched."""
        return (
            generation == self.app.consumer_generation_id
            and not self.suspend_flow.is_set()
            and self.app.flow_control.is_active()
        )

    async def _wait_for_room(self, turns: Turns[Any]) -> None:
        while not self.suspend_flow.is_set() and turns.bytes >= BUFFERED_BYTES:  # noqa: ASYNC110
            # Faust's queues tell nobody that they have room again.
            await asyncio.sleep(_BUFFER_POLL_SECONDS)

    async def perform_seek(self) -> None:
        await super().perform_seek()
        # What was handed on since the last commit comes again; whichever of the two is done first, it is done.
        self._watermarks.clear()

    def ack(self, message: Any) -> bool:
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        watermark = self._watermarks.get(message.tp)
        if watermark is not None:
            with suppress(KeyError):  # it was handed on before partitions changed hands, or a seek
                watermark.finish(message.offset)
        notify(self._waiting_for_ack)
        return True

    # Faust's own commits past an event that is not done where it is the first after what was committed, or where
    # nothing has been: events of many messages, and those whose turn comes later, are done after some that follow.

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in self._watermarks if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._watermarks[tp].committable

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        # Faust's own does nothing but wait where a commit is under way, whose offsets may be older than what the caller
        # knows to be done: when partitions are given up, that would be matched again.
        await self.maybe_wait_for_commit_to_finish()
        return bool(await super().commit(topics, start_new_transaction))

    async def on_partitions_revoked(self, revoked: Any) -> None:
        # Faust's own begins by forgetting what was acknowledged, and then waits for what is in the agent's hands: all
        # that had not been committed would be matched again, and what is finished out of turn might be lost.
        app = self.app
        if not app.should_stop and self.assignment():
            self.stop_flow()
            app.flow_control.suspend()
            app.flow_control.clear()
            await self._finish_soon()
        await super().on_partitions_revoked(revoked)
        self._watermarks.clear()

    async def _finish_soon(self) -> None:
        # Everybody's events wait while one member of the group has not given up its partitions.
        app: Any = self.app
        finishing = asyncio.ensure_future(self.wait_empty())
        await asyncio.wait({finishing}, timeout=FINISH_SECONDS)
        if not finishing.done():
            log.info("partitions are given up before all of their events have been matched; that is done once more")
            await app.give_up()
            self._unacked_messages.clear()
            notify(self._waiting_for_ack)
        await finishing

    async def on_partitions_assigned(self, assigned: Any, generation_id: int = 0) -> None:
        REBALANCES.labels("matcher").inc()
        self._watermarks.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    async def verify_all_partitions_active(self) -> None:
        # The diagnosis rests on the monitor; how far behind the matcher is shows in the group's lag.
        return


class _Transport(Transport):
    Consumer = _Consumer
