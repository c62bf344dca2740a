"""The matcher: reads what Portal publishes and writes what each webhook is to be sent."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerClosed

from dispatcher.delivery.conclusion import conclude_without_call
from dispatcher.delivery.failure_log import log_failure
from dispatcher.delivery.failures import TOO_LARGE, of_size
from dispatcher.delivery.notices import message_failed
from dispatcher.delivery.outcome import Outcome, encode_outcome, headers_without_call
from dispatcher.delivery.pace import Pace
from dispatcher.delivery.record import Delivery
from dispatcher.events.reading import UnreadableEvent, read_event
from dispatcher.events.types import EventType
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.dead_letters import DeadLetters, Record
from dispatcher.kafka.groups import Group
from dispatcher.kafka.topics import Topics
from dispatcher.matching.faust_app import faust_app
from dispatcher.matching.long_events import LongEvents, size_of
from dispatcher.matching.match import Directory, TooLarge, match
from dispatcher.matching.outbox import BATCH_BYTES, Outbox
from dispatcher.matching.slices import LITTLE, Slices
from dispatcher.observability.metrics import EVENTS, MESSAGES, MESSAGES_GIVEN_UP, attempts_counter
from dispatcher.observability.trace_context import trace_of_headers

if TYPE_CHECKING:
    from dispatcher.observability.tracing import Tracing

GRACE_SECONDS = 3.0
"""How long a stop waits for the broker to acknowledge what is in flight; what it does not is matched again."""

_FORCED_SECONDS = 2.0
_PRODUCER_SECONDS = 0.5

_HELD = (
    "no event is matched while webhooks that may want it cannot be read: add the key that they were written with to "
    "DISPATCHER_ENCRYPTION_KEY, or run the version that wrote them, and start again; is the key lost, delete them with "
    "`dispatcher webhooks remove`"
)

# An operation on thousands of devices lets others in after so many messages: other roles, and the events behind it.
_AT_ONCE = 50

log = structlog.get_logger()


class Follower(Protocol):
    """What is needed of the reader of ``webhooks.config``."""

    @property
    def directory(self) -> Directory:
        """The webhooks, as far as they have been read."""

    @property
    def unknown(self) -> Sequence[str]:
        """Webhooks that may want events, of which nobody here can read which."""


class MatcherEnded(RuntimeError):
    """The matcher's Faust app ended although nobody asked it to."""


class Matcher:
    """The role; ``follower`` is started before it and stopped after it, by whoever made both."""

    name = "matcher"

    def __init__(
        self,
        clients: KafkaClients,
        topics: Topics,
        follower: Follower,
        *,
        tracing: "Tracing | None" = None,
    ) -> None:
        self._clients = clients
        self._topics = topics
        self._follower = follower
        self._tracing = tracing
        self._types = {topic: event_type for event_type, topic in topics.events.items()}
        self._counted_events = {event_type: EVENTS.labels(event_type) for event_type in EventType}
        self._counted_messages = {event_type: MESSAGES.labels(event_type) for event_type in EventType}
        self._pace = Pace()
        self._slices = Slices()
        self._hurry = False
        """Whether a message of a webhook with little at once waits in the outbox: it is sent before more is matched."""
        self._on_hold = False
        self._started = AsyncExitStack()
        self._long = LongEvents(self._match_record, self._go_on)
        self._outbox: Outbox
        self._ended: asyncio.Future[None]

    async def start(self) -> None:
        """Return when the matcher has its partitions.

        Raises:
            KafkaUnavailable: no broker answers.
        """
        self._ended = asyncio.get_running_loop().create_future()
        try:
            async with AsyncExitStack() as started:
                producer = self._clients.producer(max_batch_size=BATCH_BYTES)
                started.push_async_callback(_stop_producer, producer)
                await producer.start()
                self._outbox = Outbox(producer, DeadLetters(producer, self._topics.dead_letter))
                topics = self._topics
                await self._outbox.open(topics.deliveries, topics.bulk, topics.attempts, topics.notices)
                started.push_async_callback(_cancel, self._watch(self._outbox.run()))
                group, member = self._topics.group(Group.MATCHER), self._clients.membership(self.name)
                started.push_async_callback(self._long.give_up)
                app = faust_app(
                    self._clients,
                    group,
                    member,
                    self._types,
                    self._match_all,
                    give_up=self._long.give_up,
                    on_hold=self._held,
                )
                started.push_async_callback(_stop_app, app)
                await app.start()
                started.push_async_callback(_cancel, self._watch(_until_crash(app)))
                started.callback(self._end_well)
                self._started = started.pop_all()
        except (KafkaError, OSError) as error:
            raise self._clients.unavailable(error) from error

    async def wait(self) -> None:
        """Run until the role ends; raise what ended it, unless that was ``stop``."""
        await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """Finish what is in flight, if the broker takes it within ``GRACE_SECONDS``, and leave the group."""
        await self._started.aclose()

    def _watch(self, running: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(running)
        task.add_done_callback(self._end)
        return task

    def _end_well(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    def _end(self, task: asyncio.Future[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not self._ended.done():
            self._ended.set_exception(error)

    def _held(self) -> bool:
        """Whether events have to wait because a webhook that may want them cannot be read."""
        unknown = self._follower.unknown
        if bool(unknown) != self._on_hold:
            self._on_hold = bool(unknown)
            if unknown:
                log.error(_HELD, webhooks=len(unknown), for_instance=unknown[0])
            else:
                log.info("events are matched again: there is no webhook any more that cannot be read")
        return self._on_hold

    async def _match_all(self, stream: Any) -> None:
        try:
            await self._match_stream(stream)
        except Exception as error:  # noqa: BLE001  Faust would start the agent again, and acknowledge past this event
            if not self._ended.done():
                self._ended.set_exception(error)
            await asyncio.Event().wait()

    async def _match_stream(self, stream: Any) -> None:
        outbox = self._outbox
        queue = stream.channel.queue
        async for event in stream.noack().events():
            if not self._long.hold_back(event):
                matching = self._match_record(event.message)
                if _begin(matching):
                    self._long.go_on_with(event, matching)
                else:
                    outbox.done(event.ack, size_of(event))
            if queue.empty() or self._hurry:
                self._hurry = False
                outbox.push()
            if self._long.full:
                await self._long.room()
            elif not outbox.has_room:
                await outbox.room()
            elif self._slices.over(now := time.monotonic()):
                # What comes in is read meanwhile: who wants little may stand behind who wants much.
                await queue.newcomer(self._slices.pause(now, time.thread_time()))
                self._slices.begin(time.monotonic(), time.thread_time())

    def _go_on(self, event: Any, matching: Iterator[None]) -> asyncio.Task[None]:
        return self._watch(self._match_rest(event, matching))

    async def _match_rest(self, event: Any, matching: Iterator[None]) -> None:
        for messages, _ in enumerate(matching, start=1):
            if not self._outbox.has_room:
                await self._outbox.room()
            elif messages % _AT_ONCE == 0:
                await asyncio.sleep(0)
        self._outbox.done(event.ack, size_of(event))

    def _match_record(self, message: Any) -> Iterator[None]:
        """Put what a record leads to into the outbox, message by message."""
        event_type = self._types[message.topic]
        record = _EventRecord(message)
        messages = 0
        try:
            event = read_event(message.value or b"", event_type)
            if message.headers:
                # Nearer than what the event itself says: a publisher may have had it from somebody else.
                event.trace = trace_of_headers(dict(message.headers)) or event.trace
            results = match(event, self._follower.directory, _milliseconds(message.timestamp))
            if self._tracing is not None:
                results = self._tracing.matching(event, message, results)
            for result in results:
                self._put(result, record)
                messages += 1
                yield
            if event.incomplete:
                self._outbox.put_dead_letter(record, event.incomplete)
        except UnreadableEvent as error:
            self._outbox.put_dead_letter(record, str(error))
        except Exception as error:  # one record must not keep the others from flowing
            log.exception(
                "an event cannot be matched", topic=message.topic, partition=message.partition, offset=message.offset
            )
            self._outbox.put_dead_letter(record, f"it cannot be matched: {error!r}")
        else:
            self._counted_events[event_type].inc()
            if messages:
                self._counted_messages[event_type].inc(messages)

    def _put(self, result: Delivery | TooLarge, event: Record) -> None:
        if isinstance(result, TooLarge):
            self._put_failed(result, round(time.time() * 1000), event)
        else:
            self._put_delivery(result, time.monotonic(), event)

    def _put_failed(self, result: TooLarge, now_ms: int, event: Record) -> None:
        outcome = _failed(result, now_ms)
        headers, webhook_id = headers_without_call(result.delivery), result.delivery.webhook_id
        self._outbox.put(self._topics.attempts, webhook_id, encode_outcome(outcome), headers, event)
        self._outbox.put(self._topics.notices, webhook_id, message_failed(outcome, now_ms), [], event)
        log_failure(outcome, result.delivery.trace)
        attempts_counter("failed", TOO_LARGE).inc()
        MESSAGES_GIVEN_UP.labels(TOO_LARGE).inc()

    def _put_delivery(self, delivery: Delivery, now: float, event: Record) -> None:
        topic = self._topics.deliveries
        if self._pace.exceeded(delivery.webhook_id, now):
            topic = self._topics.bulk
            self._slices.matched_much(delivery.webhook_id, now)
        elif self._pace.used(delivery.webhook_id, now) <= LITTLE:
            self._slices.matched_little(delivery.webhook_id, now)
            self._hurry = True
        self._outbox.put(topic, delivery.webhook_id, delivery.body, delivery.headers(), event)


class _EventRecord:
    """A Faust message as the dead letters take it, with its time in milliseconds again."""

    def __init__(self, message: Any) -> None:
        self.topic: str = message.topic
        self.partition: int = message.partition
        self.offset: int = message.offset
        self.timestamp = _milliseconds(message.timestamp)
        self.key: bytes | None = message.key
        self.value: bytes | None = message.value
        self.headers: Sequence[tuple[str, bytes]] = list(message.headers or ())


def _begin(matching: Iterator[None]) -> bool:
    """Match the first messages; whether there may be more."""
    return sum(1 for _ in islice(matching, _AT_ONCE)) == _AT_ONCE


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _failed(message: TooLarge, now_ms: int) -> Outcome:
    due_at = message.delivery.message_created_on
    outcome = conclude_without_call(message.delivery, of_size(message.size), due_at=due_at, ended_at=now_ms).outcome
    outcome["target_host"] = urlsplit(message.target_url).hostname or ""
    return outcome


async def _until_crash(app: Any) -> None:
    await app.wait_until_stopped()
    if app.crash_reason is not None:
        raise app.crash_reason
    raise MatcherEnded("the Faust app of the matcher has stopped")


async def _stop_app(app: Any) -> None:
    stopping = asyncio.ensure_future(app.stop())
    await asyncio.wait({stopping}, timeout=GRACE_SECONDS)
    if not stopping.done():
        log.warning("Kafka has not acknowledged everything; what it has not is matched again", seconds=GRACE_SECONDS)
        # Faust waits for as long as there is something here. Its offset is not committed.
        app.consumer.unacked.clear()
        await asyncio.wait({stopping}, timeout=_FORCED_SECONDS)
    if not stopping.done():
        log.error("the Faust app of the matcher does not stop; it is left behind")
        await _cancel(stopping)
    else:
        stopping.result()


async def _stop_producer(producer: AIOKafkaProducer) -> None:
    stopping = asyncio.ensure_future(producer.stop())
    await asyncio.wait({stopping}, timeout=_PRODUCER_SECONDS)
    if not stopping.done():
        # Its records have not been acknowledged, so neither have their events: they are matched again. Failing what
        # waits lets it go on to end its sending task, which in turn waits for requests until it is cancelled again.
        producer._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001
        await asyncio.wait({stopping}, timeout=_PRODUCER_SECONDS)
        await _cancel(stopping)
        await producer.client.close()


async def _cancel(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
