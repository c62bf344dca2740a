"""Sending again everything that failed at a webhook within a span of time.

Whoever asks is told how many messages that is, and a command is written: a recovery of a million messages takes
minutes, and goes on when the portal that was asked is restarted. The group of the portals carries it out. What failed
just before somebody asked is looked for again a moment later, by another command, when all of it is in the log: it is
sent, and may not be among those told of. A message that is pending is passed over, so that carrying a command out again
sends little again: what was queued and is not in the log yet, as the same run, which the senders make once.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from aiokafka import AIOKafkaProducer, ConsumerRecord
from pydantic import ValidationError

from dispatcher.errors import DispatcherError
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.groups import Group
from dispatcher.kafka.in_turn import InTurn
from dispatcher.kafka.topics import Topics
from dispatcher.portal.resending import UNSEEN_SECONDS, Resender
from dispatcher.recording.clickhouse import QueryFailed
from dispatcher.recording.recoverable import Recoverable, Span
from dispatcher.webhooks.commands import Recover, RecoveredSpan
from dispatcher.webhooks.directory import Directory
from dispatcher.webhooks.webhook import Webhook

_RECORDED_AFTER = timedelta(seconds=5)
"""So long after a message has failed it is in the log, where nothing is behind."""
_ONE_SECOND = timedelta(seconds=1)

log = structlog.get_logger()


class NotRecovered(DispatcherError):
    """Something kept messages from being sent again; it is tried again."""


class FailedMessages(Protocol):
    """Where messages that failed are counted and read."""

    async def count(
        self, organization_id: str, webhook_id: str, span: Span, *, but: Sequence[tuple[str, int]] = ()
    ) -> int:
        """How many failed."""

    def batches(self, organization_id: str, webhook_id: str, span: Span) -> AsyncIterator[list[Recoverable]]:
        """The messages with their bodies."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody's asking leads to: how many messages are sent again, and whether that is so of others already."""

    queued: int
    already: bool


class Recoveries:
    """Takes recoveries in, and carries them out. ``clock`` gives the time, ``monotonic`` counts seconds."""

    def __init__(
        self,
        failed: FailedMessages,
        resender: Resender,
        directory: Directory,
        producer: AIOKafkaProducer,
        topics: Topics,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._failed = failed
        self._resender = resender
        self._directory = directory
        self._producer = producer
        self._topics = topics
        self._clock = clock
        self._monotonic = monotonic
        self._asking = asyncio.Lock()
        self._lately: deque[tuple[float, str, Span]] = deque()

    async def ask(self, webhook: Webhook, span: Span) -> Asked:
        """Have everything sent again that failed in a span of time and was not just asked for."""
        async with self._asking:
            now = self._clock()
            whole = Span(span.since, min(span.until, now))
            spans = whole.without(self._asked_lately(webhook))
            resent = self._resender.resent_lately(webhook)
            queued = 0
            for one in spans:
                queued += await self._failed.count(webhook.organization_id, webhook.id, one, but=resent)
            # What failed a moment ago may not be in the log yet: it is looked for later, whatever is known now.
            if queued or any(one.until > now - _RECORDED_AFTER for one in spans):
                listed = [RecoveredSpan(since=one.since, until=one.until) for one in spans]
                command = Recover(v=1, command="recover", webhook_id=webhook.id, spans=listed, time=now)
                await self._write(command)
            if queued:
                self._lately += [(self._monotonic(), webhook.id, one) for one in spans]
        return Asked(queued, already=spans != [whole])

    def work(self, clients: KafkaClients) -> InTurn:
        """The work of the group; other commands are others' work, and a bad one is theirs to judge."""
        return InTurn(clients, self._producer, self._topics, Group.RECOVERY, [self._topics.commands], self.carry_out)

    def _asked_lately(self, webhook: Webhook) -> list[Span]:
        """Spans of which the log may not know yet that what failed in them is pending."""
        while self._lately and self._lately[0][0] <= self._monotonic() - UNSEEN_SECONDS:
            self._lately.popleft()
        return [span for _, webhook_id, span in self._lately if webhook_id == webhook.id]

    async def carry_out(self, record: ConsumerRecord) -> None:
        """Send again what a command says, not before its time; other records are passed over.

        A command that looks for what was not recorded yet holds up those behind it for five seconds at most.

        Raises:
            NotRecovered: ClickHouse refuses.
            ClickHouseUnavailable: it does not answer.
            KafkaError: the broker does not take it.
        """
        try:
            command = Recover.model_validate_json(record.value or b"")
        except ValidationError:
            return
        webhook = self._directory.get(command.webhook_id)
        if webhook is None:
            return
        # The clock of the portal that was asked may be ahead.
        await asyncio.sleep(min(command.time - self._clock(), _RECORDED_AFTER) / _ONE_SECOND)
        try:
            queued = [await self._recover(webhook, Span(one.since, one.until)) for one in command.spans]
        except QueryFailed as error:
            raise NotRecovered(f"what failed is not sent again yet: {error}") from error
        log.info("messages that failed are sent again", webhook_id=webhook.id, messages=sum(queued))
        if (rest := self._not_recorded_yet(command)) is not None:
            await self._write(rest)

    def _not_recorded_yet(self, command: Recover) -> Recover | None:
        """What is to be asked of the end of a command's time when it is in the log."""
        recorded = command.time - _RECORDED_AFTER
        latest = [
            RecoveredSpan(since=max(one.since, recorded), until=one.until)
            for one in command.spans
            if one.until > recorded
        ]
        again_at = command.time + _RECORDED_AFTER
        if not latest or self._clock() >= again_at:
            return None
        return command.model_copy(update={"spans": latest, "time": again_at})

    async def _write(self, command: Recover) -> None:
        await self._producer.send_and_wait(self._topics.commands, command.encode(), key=command.webhook_id.encode())

    async def _recover(self, webhook: Webhook, span: Span) -> int:
        queued = 0
        async for batch in self._failed.batches(webhook.organization_id, webhook.id, span):
            sent = [
                await self._resender.queue(webhook, one.message, one.body)
                for one in batch
                if not self._resender.is_queued(webhook, one.message)
            ]
            for each in sent:
                await each
            queued += len(sent)
        return queued
