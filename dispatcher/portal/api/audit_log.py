"""Reading the audit: of a webhook, and of all that was changed in an organization."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Self, TypeVar

from pydantic import BaseModel, Field

from dispatcher.portal.api.named_webhooks import NamedWebhooks
from dispatcher.portal.api.operation import ORGANIZATION, Answer, AnyOperation, Call, NoBody, Operation, Query
from dispatcher.portal.api.paging import DEFAULT_LIMIT, Cursor, Limit, bad_cursor, read_cursor, write_cursor
from dispatcher.portal.api.reading_on import read_on
from dispatcher.portal.api.webhooks import WEBHOOK
from dispatcher.portal.audit import AuditEntry, AuditRecord, AuditTrail

_Kept = TypeVar("_Kept")


class AuditQuery(Query):
    """Which page."""

    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


class AuditList(BaseModel):
    """A page of entries, the latest first."""

    items: list[AuditEntry]
    next_cursor: str | None


class ChangedWebhook(BaseModel):
    """A webhook when it was changed; it may have another name now, or be deleted."""

    id: str
    name: str


class OrganizationAuditEntry(AuditEntry):
    """Something that somebody changed in an organization."""

    webhook: ChangedWebhook | None = Field(description="Null where everything about the organization was erased")

    @classmethod
    def of(cls, record: AuditRecord) -> Self:
        """The entry of a record."""
        webhook = ChangedWebhook(id=record.webhook_id, name=record.webhook_name) if record.webhook_id else None
        return cls(**record.entry.model_dump(), webhook=webhook)


class OrganizationAuditList(BaseModel):
    """A page of entries, the latest first."""

    items: list[OrganizationAuditEntry]
    next_cursor: str | None


class AuditApi:
    """The operations that show who changed what."""

    def __init__(self, webhooks: NamedWebhooks, trail: AuditTrail, catch_up: Callable[[], Awaitable[None]]) -> None:
        self._webhooks = webhooks
        self._trail = trail
        self._catch_up = catch_up

    def operations(self) -> Sequence[AnyOperation]:
        """What is served."""
        return (
            Operation(
                "GET",
                f"{WEBHOOK}/audit",
                "List who changed what, the latest first",
                self.list_audit,
                AuditQuery,
                NoBody,
                AuditList,
                problems=(404,),
            ),
            Operation(
                "GET",
                f"{ORGANIZATION}/audit",
                "List who changed which webhook, deleted ones included, the latest first",
                self.list_organization_audit,
                AuditQuery,
                NoBody,
                OrganizationAuditList,
            ),
        )

    def latest_read(self, webhook_id: str) -> str:
        """The id of the latest entry of a webhook that was read so far; empty where there is none."""
        entries = self._trail.of(webhook_id)
        return entries[0].id if entries else ""

    async def list_audit(self, call: Call[AuditQuery, NoBody]) -> Answer[AuditList]:
        """A page of entries, those of a moment ago included, unless Kafka is away."""
        webhook = await self._webhooks.of(call)
        await read_on(self._catch_up)
        page, next_cursor = _page(self._trail.of(webhook.id), call.query, lambda entry: entry)
        return Answer(AuditList(items=page, next_cursor=next_cursor))

    async def list_organization_audit(self, call: Call[AuditQuery, NoBody]) -> Answer[OrganizationAuditList]:
        """A page of what was changed in the organization, that of a moment ago included, unless Kafka is away."""
        await read_on(self._catch_up)
        page, next_cursor = _page(self._trail.of_organization(call.organization_id), call.query, lambda one: one.entry)
        items = [OrganizationAuditEntry.of(record) for record in page]
        return Answer(OrganizationAuditList(items=items, next_cursor=next_cursor))


def _page(
    kept: Sequence[_Kept], query: AuditQuery, entry_of: Callable[[_Kept], AuditEntry]
) -> tuple[list[_Kept], str | None]:
    if query.cursor is not None:
        _, last = read_cursor(query.cursor)
        places = [place for place, one in enumerate(kept) if entry_of(one).id == last]
        if not places:
            raise bad_cursor()
        kept = kept[places[0] + 1 :]
    page = list(kept[: query.limit])
    return page, write_cursor((0, entry_of(page[-1]).id)) if len(kept) > len(page) else None
