"""Sending a message again: another run, from its first attempt, with the bytes that were sent before.

Resends of one message through one portal follow each other. Through two portals at once they get the same run, whose
attempts the senders make once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from weakref import WeakValueDictionary

from aiokafka import AIOKafkaProducer
from pydantic import AwareDatetime, BaseModel

from dispatcher.delivery.record import Delivery
from dispatcher.events.types import EventType
from dispatcher.portal.api.operation import Answer, AnyOperation, Body, Call, NoBody, NoQuery, Operation, not_found
from dispatcher.portal.api.problems import Problem, bad_member, invalid
from dispatcher.portal.api.rate_limits import RECOVERIES
from dispatcher.portal.api.webhook_views import Moment
from dispatcher.portal.api.webhooks import WEBHOOK, webhook_of
from dispatcher.portal.audit import Audit
from dispatcher.recording.history import Message
from dispatcher.webhooks.directory import Directory
from dispatcher.webhooks.webhook import Webhook

_REMEMBERED = 100_000
_RECOVERED_AT_ONCE = 50


class Messages(Protocol):
    """Where messages and their bodies are read from."""

    async def message(self, organization_id: str, webhook_id: str, message_id: str) -> Message | None:
        """A message."""

    async def body(self, organization_id: str, webhook_id: str, message_id: str) -> bytes | None:
        """The bytes that were sent; None when they are no longer kept."""

    async def failed_messages(
        self, organization_id: str, webhook_id: str, since: datetime, until: datetime
    ) -> Sequence[str]:
        """The ids of messages that failed for good in a span of time."""


class StillPending(Exception):
    """The message is being sent already."""


class BodyGone(Exception):
    """What was sent is no longer kept."""


class UnknownMessage(Exception):
    """The webhook has no such message."""


@dataclass(frozen=True, slots=True)
class _Known:
    message: Message
    body: bytes


class Resender:
    """Queues messages anew."""

    def __init__(self, messages: Messages, directory: Directory, producer: AIOKafkaProducer, topic: str) -> None:
        self._messages = messages
        self._directory = directory
        self._producer = producer
        self._topic = topic
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._queued: OrderedDict[tuple[str, str], int] = OrderedDict()

    async def resend(self, webhook: Webhook, message_id: str) -> int:
        """Queue another run of a message and return its number; the broker has it then.

        Raises:
            UnknownMessage, StillPending, BodyGone: it cannot be sent again.
        """
        key = webhook.id, message_id
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            known = await self._known(webhook, message_id)
            run = known.message.runs + 1
            await self._producer.send_and_wait(
                self._topic, **_record(_delivery(webhook, known, run, self._directory.next_offset))
            )
            # The log learns of the run a moment later; until then the message is known here to be pending.
            self._queued[key] = run
            if len(self._queued) > _REMEMBERED:
                self._queued.popitem(last=False)
        return run

    async def recover(self, webhook: Webhook, since: datetime, until: datetime) -> int:
        """Queue every message that failed in a span of time and whose body is kept; how many they are."""
        failed = await self._messages.failed_messages(webhook.organization_id, webhook.id, since, until)
        queued = 0
        for start in range(0, len(failed), _RECOVERED_AT_ONCE):
            queued += sum(
                await asyncio.gather(*(self._try(webhook, id) for id in failed[start : start + _RECOVERED_AT_ONCE]))
            )
        return queued

    async def _try(self, webhook: Webhook, message_id: str) -> bool:
        try:
            await self.resend(webhook, message_id)
        except (UnknownMessage, StillPending, BodyGone):
            return False
        return True

    async def _known(self, webhook: Webhook, message_id: str) -> _Known:
        message = await self._messages.message(webhook.organization_id, webhook.id, message_id)
        if message is None:
            raise UnknownMessage
        queued = self._queued.get((webhook.id, message_id), 0)
        if message.status in ("pending", "in_progress") or queued > message.runs:
            raise StillPending
        body = await self._messages.body(webhook.organization_id, webhook.id, message_id)
        if body is None:
            raise BodyGone
        return _Known(message, body)


def _delivery(webhook: Webhook, known: _Known, run: int, config_offset: int) -> Delivery:
    message = known.message
    return Delivery(
        webhook_id=webhook.id,
        organization_id=webhook.organization_id,
        event_type=EventType(message.event_type),
        message_id=message.message_id,
        run=run,
        attempt=1,
        message_created_on=round(message.created_on.timestamp() * 1000),
        config_offset=config_offset,
        workspace_id=message.workspace_id,
        body=known.body,
    )


def _record(delivery: Delivery) -> dict[str, object]:
    return {"value": delivery.body, "key": delivery.key, "headers": delivery.headers()}


class Resent(BaseModel):
    """A message that will be sent again."""

    message_id: str
    run: int


class RecoverySpan(Body):
    """Messages that failed from ``since`` up to ``until`` (now, where it is left out)."""

    since: Moment
    until: Moment | None = None


class Recovered(BaseModel):
    """How many messages will be sent again."""

    queued: int


class ResendingApi:
    """The operations that send messages again."""

    def __init__(self, directory: Directory, resender: Resender, audit: Audit, clock: Callable[[], datetime]) -> None:
        self._directory = directory
        self._resender = resender
        self._audit = audit
        self._clock = clock

    def operations(self) -> Sequence[AnyOperation]:
        """What is served."""
        return (
            Operation(
                "POST",
                f"{WEBHOOK}/messages/{{message_id}}/resend",
                "Send a message again, as it was",
                self.resend_message,
                NoQuery,
                NoBody,
                Resent,
                status=202,
                problems=(404, 409, 410, 503),
            ),
            Operation(
                "POST",
                f"{WEBHOOK}/recover",
                "Send again every message that failed in a span of time and whose body is kept",
                self.recover_messages,
                NoQuery,
                RecoverySpan,
                Recovered,
                status=202,
                problems=(404, 409, 503),
                limits=(RECOVERIES,),
            ),
        )

    async def resend_message(self, call: Call[NoQuery, NoBody]) -> Answer[Resent]:
        """The new run."""
        webhook = webhook_of(call, self._directory)
        message_id = call.path["message_id"]
        _require_enabled(webhook)
        try:
            run = await self._resender.resend(webhook, message_id)
        except UnknownMessage:
            raise not_found("message") from None
        except StillPending:
            raise Problem(409, "The message is still being sent. Wait until it has succeeded or failed.") from None
        except BodyGone:
            raise Problem(410, "What was sent is no longer kept (28 days), so it cannot be sent again.") from None
        await self._audit.record(webhook, call.caller.person, "resent", message_id=message_id)
        return Answer(Resent(message_id=message_id, run=run))

    async def recover_messages(self, call: Call[NoQuery, RecoverySpan]) -> Answer[Recovered]:
        """How many messages were queued."""
        webhook = webhook_of(call, self._directory)
        since, until = call.body.since, call.body.until or self._clock()
        if since >= until:
            raise invalid([bad_member(("since",), "is not before until")])
        _check_century("since", since)
        _check_century("until", until)
        _require_enabled(webhook)
        queued = await self._resender.recover(webhook, since, until)
        if queued:
            await self._audit.record(webhook, call.caller.person, "recovered")
        return Answer(Recovered(queued=queued))


def _require_enabled(webhook: Webhook) -> None:
    if not webhook.enabled:
        raise Problem(409, "The webhook is disabled. Enable it first, then send again.")


def _check_century(name: str, moment: AwareDatetime) -> None:
    if not 2000 <= moment.year < 2100:
        raise invalid([bad_member((name,), "is a time at which nothing can have failed")])
