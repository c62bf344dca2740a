"""The audit: who changed what, written to ``webhooks.audit`` and read back from there.

Every portal follows the topic from its beginning and keeps the latest entries of each webhook in memory.
"""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from secrets import token_hex
from typing import Literal

import orjson
import structlog
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError
from pydantic import BaseModel, ConfigDict, ValidationError

from dispatcher.portal.api.webhook_views import ShownMoment
from dispatcher.webhooks.webhook import Person, Webhook

Action = Literal[
    "created", "updated", "enabled", "disabled", "deleted", "tested", "secret_rotated", "resent", "recovered"
]

KEPT_OF_WEBHOOK = 1_000
"""How many entries of a webhook are shown at most, the latest."""

_log = structlog.get_logger(__name__)


class AuditEntry(BaseModel):
    """Something that somebody did with a webhook. ``changed`` names members, never values."""

    model_config = ConfigDict(frozen=True)

    id: str
    time: ShownMoment
    by: Person
    action: Action
    changed: tuple[str, ...] = ()
    message_id: str | None = None
    reason: str | None = None


class UnreadableAudit(ValueError):
    """A record that is no entry of the audit of a format this version reads."""


class AuditRecord(BaseModel):
    """A record of ``webhooks.audit``."""

    v: Literal[1]
    organization_id: str
    webhook_id: str
    webhook_name: str
    entry: AuditEntry


def read_audit_record(value: bytes | None) -> AuditRecord:
    """The record with this value.

    Raises:
        UnreadableAudit: it is none; the message names what is wrong with it.
    """
    try:
        return AuditRecord.model_validate_json(value or b"")
    except ValidationError as error:
        members = ", ".join(".".join(str(part) for part in one["loc"]) or "the record" for one in error.errors())
        raise UnreadableAudit(f"not an entry of the audit of this version: {members}") from None


class AuditTrail:
    """The entries of all webhooks, by webhook, the latest of each."""

    def __init__(self) -> None:
        self._entries: dict[str, deque[AuditEntry]] = {}

    def apply(self, consumed: ConsumerRecord) -> None:
        """Take in a record; a webhook that is deleted takes its entries with it."""
        try:
            record = read_audit_record(consumed.value)
        except UnreadableAudit as error:
            _log.warning("an audit record cannot be read", offset=consumed.offset, reason=str(error))
            return
        if record.entry.action == "deleted":
            self._entries.pop(record.webhook_id, None)
        else:
            kept = self._entries.setdefault(record.webhook_id, deque(maxlen=KEPT_OF_WEBHOOK))
            kept.append(record.entry)

    def of(self, webhook_id: str) -> Sequence[AuditEntry]:
        """The entries of a webhook, the latest first."""
        return tuple(reversed(self._entries.get(webhook_id, ())))


class Audit:
    """Writes entries."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, clock: Callable[[], datetime]) -> None:
        self._producer = producer
        self._topic = topic
        self._clock = clock

    async def record(
        self,
        webhook: Webhook,
        by: Person,
        action: Action,
        *,
        changed: Sequence[str] = (),
        message_id: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Write that somebody did something. What was done stands even if this fails, which is then logged."""
        entry = AuditEntry(
            id=f"aud_{token_hex(12)}",
            time=self._clock(),
            by=by,
            action=action,
            changed=tuple(sorted(changed)),
            message_id=message_id,
            reason=reason,
        )
        value = {
            "v": 1,
            "organization_id": webhook.organization_id,
            "webhook_id": webhook.id,
            "webhook_name": webhook.name,
            "entry": entry.model_dump(exclude_none=True),
        }
        try:
            # One partition, however many the topic has: entries have one order, and their readers follow one log.
            await self._producer.send_and_wait(self._topic, orjson.dumps(value), key=webhook.id.encode(), partition=0)
        except KafkaError:
            _log.exception("audit entry lost", **value)
