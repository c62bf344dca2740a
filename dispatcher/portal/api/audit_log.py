"""Reading the audit of a webhook."""

from collections.abc import Awaitable, Callable, Sequence

from pydantic import BaseModel

from dispatcher.portal.api.operation import Answer, AnyOperation, Call, NoBody, Operation, Query
from dispatcher.portal.api.paging import DEFAULT_LIMIT, Cursor, Limit, bad_cursor, read_cursor, write_cursor
from dispatcher.portal.api.webhooks import WEBHOOK, webhook_of
from dispatcher.portal.audit import AuditEntry, AuditTrail
from dispatcher.webhooks.directory import Directory


class AuditQuery(Query):
    """Which page."""

    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


class AuditList(BaseModel):
    """A page of entries, the latest first."""

    items: list[AuditEntry]
    next_cursor: str | None


class AuditApi:
    """The operation that shows who changed what."""

    def __init__(self, directory: Directory, trail: AuditTrail, catch_up: Callable[[], Awaitable[None]]) -> None:
        self._directory = directory
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
                problems=(404, 503),
            ),
        )

    def latest_read(self, webhook_id: str) -> str:
        """The id of the latest entry of a webhook that was read so far; empty where there is none."""
        entries = self._trail.of(webhook_id)
        return entries[0].id if entries else ""

    async def list_audit(self, call: Call[AuditQuery, NoBody]) -> Answer[AuditList]:
        """A page of entries, those of a moment ago included."""
        webhook = webhook_of(call, self._directory)
        await self._catch_up()
        entries = self._trail.of(webhook.id)
        if call.query.cursor is not None:
            _, last = read_cursor(call.query.cursor)
            places = [place for place, entry in enumerate(entries) if entry.id == last]
            if not places:
                raise bad_cursor()
            entries = entries[places[0] + 1 :]
        page = entries[: call.query.limit]
        next_cursor = write_cursor((0, page[-1].id)) if len(entries) > len(page) else None
        return Answer(AuditList(items=list(page), next_cursor=next_cursor))
