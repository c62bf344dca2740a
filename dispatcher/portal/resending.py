"""Sending a message again: another run, from its first attempt, with the bytes that were sent before.

Resends of one message through one portal follow each other. Through two portals at once they get the same run, whose
attempts the senders make once.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol
from weakref import WeakValueDictionary

from aiokafka import AIOKafkaProducer

from dispatcher.delivery.outcome import NOT_ENDED
from dispatcher.delivery.record import Delivery
from dispatcher.events.types import EventType
from dispatcher.kafka.topics import Topics
from dispatcher.moments import milliseconds
from dispatcher.recording.history import MOST_RUNS, Attempt, Message
from dispatcher.webhooks.directory import Directory
from dispatcher.webhooks.webhook import Webhook

UNSEEN_SECONDS = 60.0
"""After this time at the latest what was queued is in the log, where that is reached at all."""

_REMEMBERED = 100_000
_REMEMBERED_LATELY = 1_000


class Messages(Protocol):
    """Where messages and their bodies are read from."""

    async def message(self, organization_id: str, webhook_id: str, message_id: str) -> Message | None:
        """A message."""

    async def attempts_of_message(self, organization_id: str, webhook_id: str, message_id: str) -> Sequence[Attempt]:
        """Its attempts, the latest first."""

    async def body(self, organization_id: str, webhook_id: str, message_id: str) -> bytes | None:
        """The bytes that were sent; None when they are no longer kept."""


class StillPending(Exception):
    """The message is being sent already."""


class BodyGone(Exception):
    """What was sent is no longer kept."""


class SentTooOften(Exception):
    """The message has as many runs as there can be."""


class UnknownMessage(Exception):
    """The webhook has no such message."""


class Resender:
    """Queues messages anew. ``monotonic`` counts seconds."""

    def __init__(
        self,
        messages: Messages,
        directory: Directory,
        producer: AIOKafkaProducer,
        topics: Topics,
        monotonic: Callable[[], float],
    ) -> None:
        self._messages = messages
        self._directory = directory
        self._producer = producer
        self._topics = topics
        self._monotonic = monotonic
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._queued: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._lately: deque[tuple[float, str, str, int]] = deque(maxlen=_REMEMBERED_LATELY)

    async def resend(self, webhook: Webhook, message_id: str) -> int:
        """Queue another run of a message and return its number; the broker has it then.

        Raises:
            UnknownMessage, StillPending, SentTooOften, BodyGone: it cannot be sent again.
        """
        lock = self._locks.setdefault((webhook.id, message_id), asyncio.Lock())
        async with lock:
            message, body = await self._known(webhook, message_id)
            await (await self._queue(self._topics.deliveries, webhook, message, body))
            self._lately.append((self._monotonic(), webhook.id, message_id, message.runs))
        return message.runs + 1

    async def queue(self, webhook: Webhook, message: Message, body: bytes) -> "asyncio.Future[object]":
        """Queue another run of one of many messages, which is not pending; the future ends when the broker has it."""
        return await self._queue(self._topics.bulk, webhook, message, body)

    async def _queue(self, topic: str, webhook: Webhook, message: Message, body: bytes) -> "asyncio.Future[object]":
        delivery = Delivery(
            webhook_id=webhook.id,
            organization_id=webhook.organization_id,
            event_type=EventType(message.event_type),
            message_id=message.message_id,
            run=message.runs + 1,
            attempt=1,
            message_created_on=milliseconds(message.created_on),
            config_offset=self._directory.next_offset,
            workspace_id=message.workspace_id,
            body=body,
        )
        sent: asyncio.Future[object] = await self._producer.send(
            topic, value=delivery.body, key=delivery.key, headers=delivery.headers()
        )
        # The log learns of the run a moment later; until then the message is known here to be pending.
        of_message = webhook.id, message.message_id
        self._queued[of_message] = delivery.run
        self._queued.move_to_end(of_message)
        if len(self._queued) > _REMEMBERED:
            self._queued.popitem(last=False)
        sent.add_done_callback(partial(self._sent, of_message, delivery.run))
        return sent

    def _sent(self, of_message: tuple[str, str], run: int, sent: "asyncio.Future[object]") -> None:
        """Of what the broker did not take the log would never learn: it may be asked for again, as the same run."""
        taken = not sent.cancelled() and sent.exception() is None
        if not taken and self._queued.get(of_message) == run:
            del self._queued[of_message]

    def is_queued(self, webhook: Webhook, message: Message) -> bool:
        """Whether a later run than the log knows of was queued here."""
        return self._queued.get((webhook.id, message.message_id), 0) > message.runs

    def resent_lately(self, webhook: Webhook) -> Sequence[tuple[str, int]]:
        """The messages of a webhook that somebody sent again so lately that the log may not know yet.

        Each with the runs that it had before: with more of them it is known.
        """
        since = self._monotonic() - UNSEEN_SECONDS
        return [(message_id, runs) for at, of, message_id, runs in self._lately if at > since and of == webhook.id]

    async def _known(self, webhook: Webhook, message_id: str) -> tuple[Message, bytes]:
        message = await self._messages.message(webhook.organization_id, webhook.id, message_id)
        if message is None:
            raise UnknownMessage
        if message.status in NOT_ENDED or self.is_queued(webhook, message):
            raise StillPending
        if message.status == "successful":
            # It stays successful, whatever becomes of a later run.
            attempts = await self._messages.attempts_of_message(webhook.organization_id, webhook.id, message_id)
            if attempts and attempts[0].status in NOT_ENDED:
                raise StillPending
        if message.runs >= MOST_RUNS:
            raise SentTooOften
        body = await self._messages.body(webhook.organization_id, webhook.id, message_id)
        if body is None:
            raise BodyGone
        return message, body
