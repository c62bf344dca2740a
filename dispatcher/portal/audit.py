"""The audit: who changed what, written to ``webhooks.audit`` and read back from there.

Every portal follows the topic from its beginning and keeps the latest entries of each webhook in memory. An entry may
be in the topic twice, written by who made the change and by who missed it (``portal/missing_entries.py``): it is one.
"""

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
from dispatcher.validation import members_of
from dispatcher.webhooks.webhook import Person, Webhook

Action = Literal[
    "created", "updated", "enabled", "disabled", "deleted", "tested", "secret_rotated", "resent", "recovered"
]

KEPT_OF_WEBHOOK = 1_000
"""How many entries of a webhook are shown at most, the latest."""

# A change and its entry are seconds apart, and so are two copies of one entry.
_REMEMBERED = 20_000

log = structlog.get_logger()


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

    def encode(self) -> bytes:
        """The record's value."""
        return orjson.dumps(self.model_dump(exclude_none=True))


def read_audit_record(value: bytes | None) -> AuditRecord:
    """The record with this value.

    Raises:
        UnreadableAudit: it is none; the message names what is wrong with it.
    """
    try:
        return AuditRecord.model_validate_json(value or b"")
    except ValidationError as error:
        raise UnreadableAudit(f"not an entry of the audit of this version: {members_of(error)}") from None


class AuditTrail:
    """The entries of all webhooks, by webhook, the latest of each."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, AuditEntry]] = {}
        self._lately: dict[str, None] = {}

    def apply(self, consumed: ConsumerRecord) -> None:
        """Take in a record; a webhook that is deleted takes its entries with it."""
        try:
            record = read_audit_record(consumed.value)
        except UnreadableAudit as error:
            log.warning("an audit record cannot be read", offset=consumed.offset, reason=str(error))
            return
        if self.has(record):
            return
        self._lately[record.entry.id] = None
        if len(self._lately) > _REMEMBERED:
            del self._lately[next(iter(self._lately))]
        if record.entry.action == "deleted":
            self._entries.pop(record.webhook_id, None)
        else:
            kept = self._entries.setdefault(record.webhook_id, {})
            kept[record.entry.id] = record.entry
            if len(kept) > KEPT_OF_WEBHOOK:
                del kept[next(iter(kept))]

    def has(self, record: AuditRecord) -> bool:
        """Whether an entry is there; one that is not kept any more is known while it is one of the last that came."""
        return record.entry.id in self._lately or record.entry.id in self._entries.get(record.webhook_id, ())

    def of(self, webhook_id: str) -> Sequence[AuditEntry]:
        """The entries of a webhook, the latest first: one that was missing stands where it belongs."""
        entries = self._entries.get(webhook_id, {}).values()
        return tuple(sorted(entries, key=lambda entry: entry.time)[::-1])


class Audit:
    """Makes entries and writes them."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, clock: Callable[[], datetime]) -> None:
        self._producer = producer
        self._topic = topic
        self._clock = clock

    def entry(
        self,
        webhook: Webhook,
        by: Person,
        action: Action,
        *,
        changed: Sequence[str] = (),
        message_id: str | None = None,
        reason: str | None = None,
    ) -> AuditRecord:
        """That somebody does something now."""
        entry = AuditEntry(
            id=f"aud_{token_hex(12)}",
            time=self._clock(),
            by=by,
            action=action,
            changed=tuple(sorted(changed)),
            message_id=message_id,
            reason=reason,
        )
        return AuditRecord(
            v=1,
            organization_id=webhook.organization_id,
            webhook_id=webhook.id,
            webhook_name=webhook.name,
            entry=entry,
        )

    async def write(self, record: AuditRecord) -> None:
        """Write an entry.

        Raises:
            KafkaError: whether it was written is unknown.
        """
        # One partition, however many the topic has: entries have one order, and their readers follow one log.
        key = record.webhook_id.encode()
        await self._producer.send_and_wait(self._topic, record.encode(), key=key, partition=0)

    async def record(self, record: AuditRecord) -> None:
        """Write an entry. What was done stands even if this fails, which is then logged."""
        try:
            await self.write(record)
        except KafkaError:
            log.exception("an audit entry is not written", **record.model_dump(mode="json", exclude_none=True))
