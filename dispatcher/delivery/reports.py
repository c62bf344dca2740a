"""Reports: what a sender writes to Kafka. Each is done when the broker has it, however long that takes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypedDict, cast

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from dispatcher.delivery.conclusion import Conclusion, in_progress, is_made
from dispatcher.delivery.failure_log import log_failure
from dispatcher.delivery.notices import message_failed
from dispatcher.delivery.outcome import Outcome, encode_outcome, outcome_headers, without_exchange
from dispatcher.delivery.record import Delivery, Headers
from dispatcher.delivery.work import Work
from dispatcher.kafka.batching import BatchingProducer, RecordTooLarge, Stored, Told
from dispatcher.kafka.clock import BrokerClock
from dispatcher.kafka.dead_letters import DeadLetters, Record
from dispatcher.kafka.topics import Topics
from dispatcher.moments import moment
from dispatcher.observability.metrics import BATCH_RECORDS, MESSAGES_GIVEN_UP, attempts_counter
from dispatcher.webhooks.commands import Disable

log = structlog.get_logger()

_TRY_AGAIN_SECONDS = 0.5

# Outcomes and retries are late for nobody by so much, and cost half of it when they wait for others.
_LINGER_SECONDS = 0.01


class _Record(TypedDict):
    key: bytes
    value: bytes
    headers: Headers


_Send = Callable[[], Awaitable[asyncio.Future[Any]]]


class Reports:
    """Writes outcomes, retries, notices and commands, and moves records elsewhere."""

    def __init__(self, producer: AIOKafkaProducer, topics: Topics, clock: BrokerClock) -> None:
        self._producer = producer
        self._batches = BatchingProducer(producer, _LINGER_SECONDS, BATCH_RECORDS.labels("sender").observe, clock)
        self._topics = topics
        self._clock = clock
        self._dead_letters = DeadLetters(producer, topics.dead_letter)

    async def conclusion(self, work: Work, conclusion: Conclusion) -> int:
        """What follows from an outcome, and then the outcome, by which a successor knows that nothing is left to do.

        Returns the outcome's offset.

        Raises:
            RecordTooLarge: the outcome, or the attempt that follows, is more than its topic takes.
        """
        outcome, delivery = conclusion.outcome, work.delivery
        attempts_counter(outcome["status"], outcome["reason"]).inc()
        if outcome["status"] == "failed":
            log_failure(outcome, delivery.trace)
            following = [self._what_follows(work, conclusion)]
            if conclusion.disables_webhook and work.target is not None:
                command = Disable(
                    v=1,
                    command="disable",
                    webhook_id=delivery.webhook_id,
                    reason=outcome["error"],
                    time=moment(work.target.as_of),
                ).encode()
                following.append(lambda: self._producer.send(self._topics.commands, value=command, key=delivery.key))
            await _until_acknowledged(following)
        return await self.outcome(work, outcome)

    async def outcome(self, work: Work, outcome: Outcome) -> int:
        """The last thing of an attempt. Returns its offset.

        Raises:
            RecordTooLarge: it is more than its topic takes.
        """
        try:
            stored = await self._final(work, outcome)
        except RecordTooLarge as error:
            log.warning("what was sent and answered is not recorded", error=str(error), webhook_id=work.webhook_id)
            stored = await self._final(work, without_exchange(outcome))
        return stored.offset

    def success(self, work: Work, outcome: Outcome, told: Told) -> None:
        """The outcome of an attempt that nothing follows: ``told`` is called once, whatever becomes of it.

        Those of one batch are told together: a task that waits for each takes 8 µs more.
        """
        attempts_counter(outcome["status"], outcome["reason"]).inc()
        # Not by key: whoever takes over a partition of deliveries reads the same one of attempts.
        self._batches.put(self._topics.attempts, work.partition, told, **_record(work, outcome, final=True))

    def _what_follows(self, work: Work, conclusion: Conclusion) -> _Send:
        if conclusion.retry is None:
            MESSAGES_GIVEN_UP.labels(conclusion.outcome["reason"]).inc()
            notice = message_failed(conclusion.outcome, self._clock.now())
            return lambda: self._producer.send(self._topics.notices, value=notice, key=work.delivery.key)
        following = work.delivery._replace(attempt=conclusion.retry.attempt)
        topic = self._topics.retry[conclusion.retry.delay]
        return lambda: self._send_delivery(topic, following, work.partition)

    async def in_progress(self, work: Work) -> None:
        """That the attempt is being made; shown for a few seconds, and so not worth a second try."""
        if work.target is not None:
            outcome = in_progress(work.delivery, work.target, work.due_at, work.started_at)
            await self._send_outcome(work, outcome, final=False)

    async def dead_letter(self, record: Record, reason: str) -> None:
        """The record could not be understood."""

        async def begin() -> asyncio.Future[Any]:
            return asyncio.ensure_future(self._dead_letters.send(record, reason))

        await _until_acknowledged([begin])

    async def _final(self, work: Work, outcome: Outcome) -> Stored:
        [stored] = await _until_acknowledged([lambda: self._send_outcome(work, outcome, final=True)])
        return cast("Stored", stored)

    async def _send_outcome(self, work: Work, outcome: Outcome, *, final: bool) -> asyncio.Future[Any]:
        return self._batches.send(self._topics.attempts, work.partition, **_record(work, outcome, final=final))

    async def _send_delivery(self, topic: str, delivery: Delivery, partition: int) -> asyncio.Future[Any]:
        return self._batches.send(topic, partition, key=delivery.key, value=delivery.body, headers=delivery.headers())


def _record(work: Work, outcome: Outcome, *, final: bool) -> _Record:
    delivery = work.delivery
    called = is_made(outcome)
    headers = outcome_headers(delivery, final=final, topic=work.topic, offset=work.offset, called=called)
    return {"key": delivery.key, "value": encode_outcome(outcome), "headers": headers}


async def _until_acknowledged(sends: Sequence[_Send]) -> list[Any]:
    while True:
        try:
            futures = [await send() for send in sends]
            return [await future for future in futures]
        except KafkaError as error:
            log.warning("Kafka does not take what a sender reports; trying again", error=str(error))
            await asyncio.sleep(_TRY_AGAIN_SECONDS)
