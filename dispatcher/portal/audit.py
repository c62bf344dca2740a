"""The audit: who changed what, written to ``webhooks.audit`` and read back from there.

Every portal follows the topic from its beginning and keeps the latest entries of each webhook in memory, and the latest
changes of each organization's webhooks, which stay when a webhook is deleted. An entry may be in the topic twice,
written by who made the change and by who missed it (``portal/missing_entries.py``): it is one.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from secrets import token_hex
from typing import Literal, TypeVar, get_args

import orjson
import structlog
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError
from pydantic import BaseModel, ConfigDict, ValidationError

from dispatcher.portal.api.webhook_views import ShownMoment
from dispatcher.validation import members_of
from dispatcher.webhooks.webhook import Person, Webhook

Change = Literal["created", "updated", "enabled", "disabled", "deleted", "secret_rotated"]
Use = Literal["tested", "resent", "recovered"]
Action = Literal[Change, Use]

KEPT_OF_WEBHOOK = 1_000
"""How many changes of a webhook are shown at most, and how many uses, the latest."""

KEPT_OF_ORGANIZATION = 1_000
"""How many changes of an organization's webhooks are shown at most, the latest."""

_USES = frozenset(get_args(Use))
_EARLIEST = datetime.min.replace(tzinfo=UTC)

# A change and its entry are seconds apart, and so are two copies of one entry.
_REMEMBERED = 20_000

_Kept = TypeVar("_Kept")

log = structlog.get_logger()


class AuditEntry(BaseModel):
    """Something that somebody did with a webhook. ``changed`` names members, never values.

    ``messages`` failed from ``since`` up to ``until``, or up to the entry's time, and are sent again.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    time: ShownMoment
    by: Person
    action: Action
    changed: tuple[str, ...] = ()
    message_id: str | None = None
    reason: str | None = None
    messages: int | None = None
    since: ShownMoment | None = None
    until: ShownMoment | None = None


class UnreadableAudit(ValueError):
    """A record that is no entry of the audit of a format this version reads."""


class AuditRecord(BaseModel):
    """A record of ``webhooks.audit``.

    An entry ``deleted`` with an empty ``webhook_id`` means that the organization was erased with all of its webhooks. A
    version that knows only of webhooks can still read it.
    """

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
    """The latest entries: of each webhook there is, and of what was changed in each organization."""

    def __init__(self) -> None:
        self._changes: dict[str, dict[str, AuditEntry]] = {}
        self._uses: dict[str, dict[str, AuditEntry]] = {}
        self._in_organization: dict[str, dict[str, AuditRecord]] = {}
        self._erased: dict[str, datetime] = {}
        self._lately: dict[str, None] = {}

    def apply(self, consumed: ConsumerRecord) -> None:
        """Take in a record."""
        try:
            record = read_audit_record(consumed.value)
        except UnreadableAudit as error:
            log.warning("an audit record cannot be read", offset=consumed.offset, reason=str(error))
            return
        if self.has(record):
            return
        entry = record.entry
        _keep(self._lately, entry.id, None, _REMEMBERED)
        kept = self._in_organization.setdefault(record.organization_id, {})
        if entry.action == "deleted":
            self._changes.pop(record.webhook_id, None)
            self._uses.pop(record.webhook_id, None)
        if not record.webhook_id:
            self._erased[record.organization_id] = entry.time
            for id in [id for id, one in kept.items() if one.entry.time < entry.time]:
                del kept[id]
        elif entry.time < self._erased.get(record.organization_id, _EARLIEST):
            return  # It was missing, and comes after the erasure that it was to be a part of.
        elif entry.action in _USES:
            _keep(self._uses.setdefault(record.webhook_id, {}), entry.id, entry, KEPT_OF_WEBHOOK)
            return
        elif entry.action != "deleted":
            _keep(self._changes.setdefault(record.webhook_id, {}), entry.id, entry, KEPT_OF_WEBHOOK)
        _keep(kept, entry.id, record, KEPT_OF_ORGANIZATION)

    def has(self, record: AuditRecord) -> bool:
        """Whether an entry is there; one that is not kept any more is known while it is one of the last that came."""
        id = record.entry.id
        return (
            id in self._lately
            or id in self._in_organization.get(record.organization_id, ())
            or id in self._changes.get(record.webhook_id, ())
            or id in self._uses.get(record.webhook_id, ())
        )

    def of(self, webhook_id: str) -> Sequence[AuditEntry]:
        """The entries of a webhook that is not deleted, the latest first: a missing one stands where it belongs."""
        kept = [*self._changes.get(webhook_id, {}).values(), *self._uses.get(webhook_id, {}).values()]
        return sorted(kept, key=lambda entry: entry.time)[::-1]

    def of_organization(self, organization_id: str) -> Sequence[AuditRecord]:
        """What was changed in an organization, deleted webhooks included, the latest first."""
        kept = self._in_organization.get(organization_id, {}).values()
        return sorted(kept, key=lambda record: record.entry.time)[::-1]


def _keep(kept: dict[str, _Kept], id: str, one: _Kept, most: int) -> None:
    kept[id] = one
    if len(kept) > most:
        del kept[next(iter(kept))]


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
        messages: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AuditRecord:
        """That somebody does something now."""
        entry = AuditEntry(
            id=_new_id(),
            time=self._clock(),
            by=by,
            action=action,
            changed=tuple(sorted(changed)),
            message_id=message_id,
            reason=reason,
            messages=messages,
            since=since,
            until=until,
        )
        return AuditRecord(
            v=1,
            organization_id=webhook.organization_id,
            webhook_id=webhook.id,
            webhook_name=webhook.name,
            entry=entry,
        )

    def erased(self, organization_id: str, by: Person) -> AuditRecord:
        """That somebody now erases everything about an organization, what was changed in it before included."""
        entry = AuditEntry(id=_new_id(), time=self._clock(), by=by, action="deleted")
        return AuditRecord(v=1, organization_id=organization_id, webhook_id="", webhook_name="", entry=entry)

    async def write(self, record: AuditRecord) -> None:
        """Write an entry.

        Raises:
            KafkaError: whether it was written is unknown.
        """
        # One partition, however many the topic has: entries have one order, and their readers follow one log.
        key = (record.webhook_id or record.organization_id).encode()
        await self._producer.send_and_wait(self._topic, record.encode(), key=key, partition=0)

    async def record(self, record: AuditRecord) -> None:
        """Write an entry. What was done stands even if this fails, which is then logged."""
        try:
            await self.write(record)
        except KafkaError:
            log.exception("an audit entry is not written", **record.model_dump(mode="json", exclude_none=True))


def _new_id() -> str:
    return f"aud_{token_hex(12)}"
