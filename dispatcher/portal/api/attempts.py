"""What became of a webhook's messages: metrics, attempts, their details, as they happen, as CSV."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated, Protocol

import orjson
from aiohttp import ClientConnectionResetError, hdrs, web
from pydantic import Field

from dispatcher.delivery.outcome import Status
from dispatcher.portal.api import csv_export
from dispatcher.portal.api.attempt_views import (
    AttemptDetailsView,
    AttemptList,
    AttemptView,
    Gap,
    History,
    MessageView,
    MetricsView,
    attempt_view,
    bucket_view,
    details_view,
    message_view,
    metrics_view,
)
from dispatcher.portal.api.named_webhooks import NamedWebhooks
from dispatcher.portal.api.operation import (
    Answer,
    AnyOperation,
    Call,
    Header,
    NoBody,
    NoQuery,
    Operation,
    Query,
    StreamedOperation,
    not_found,
)
from dispatcher.portal.api.paging import DEFAULT_LIMIT, Cursor, Limit, bad_cursor
from dispatcher.portal.api.problems import BadField, invalid
from dispatcher.portal.api.rate_limits import AtOnce
from dispatcher.portal.api.webhook_views import Moment
from dispatcher.portal.api.webhooks import WEBHOOK
from dispatcher.portal.feed import AttemptFeed
from dispatcher.recording.history import Attempt, AttemptDetails, Bucket, BucketSize, Message, Metrics, Page
from dispatcher.webhooks.webhook import Webhook

_DEFAULT_SPAN: dict[BucketSize, timedelta] = {"hour": timedelta(days=1), "day": timedelta(days=28)}
_LONGEST_SPAN: dict[BucketSize, timedelta] = {"hour": timedelta(days=32), "day": timedelta(days=400)}
_HEARTBEAT_SECONDS = 15.0
"""So often a stream says that it goes on, and whoever reads it is looked at again: signed in, with a valid token."""

_UNREAD_SECONDS = 30.0
"""A client that takes nothing for so long is cut off."""

_LONGEST_STREAM_SECONDS = 3600.0
"""Then the client comes back, to whichever portal."""

_LAST_EVENT_ID = "Last-Event-ID"
_WELCOME = b"retry: 2000\n: watching\n\n"
_WELCOME_BACK = _WELCOME + b'event: gap\ndata: {"missed":null}\n\n'
_EXPORTED_AT_ONCE = 10_000
_WRITTEN_AT_ONCE = 500

_STREAMS_AT_ONCE = 100
_EXPORTS_AT_ONCE = 4


class Log(Protocol):
    """Where attempts are read from."""

    async def metrics(self, organization_id: str, webhook_id: str) -> Metrics:
        """Messages by status."""

    async def history(
        self, organization_id: str, webhook_id: str, bucket: BucketSize, since: datetime, until: datetime
    ) -> list[Bucket]:
        """Hours or days."""

    async def metrics_and_history(
        self, organization_id: str, webhook_id: str, bucket: BucketSize, since: datetime, until: datetime
    ) -> tuple[Metrics, list[Bucket]]:
        """Both at once."""

    async def attempts(
        self,
        organization_id: str,
        webhook_id: str,
        *,
        status: Status | None,
        limit: int,
        cursor: str | None,
        since: datetime | None,
        until: datetime | None,
    ) -> Page:
        """A page of attempts; ValueError when the cursor is not one of its own."""

    async def attempt(self, organization_id: str, webhook_id: str, attempt_id: str) -> AttemptDetails | None:
        """One attempt."""

    async def message(self, organization_id: str, webhook_id: str, message_id: str) -> Message | None:
        """One message."""

    async def attempts_of_message(self, organization_id: str, webhook_id: str, message_id: str) -> list[Attempt]:
        """A message's attempts."""


class HistoryQuery(Query):
    """Which span of time, in hours or days."""

    bucket: BucketSize = "hour"
    since: Annotated[Moment | None, Field(alias="from", description="24 hours, or 28 days, before to by default")] = (
        None
    )
    until: Annotated[Moment | None, Field(alias="to", description="Now by default")] = None


class ExportQuery(Query):
    """Which attempts to export."""

    status: Status | None = None
    since: Annotated[Moment | None, Field(alias="from", description="Executed or due then or later")] = None
    until: Annotated[Moment | None, Field(alias="to", description="Executed or due before then")] = None


class AttemptQuery(ExportQuery):
    """Which attempts to list."""

    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


class AttemptsApi:
    """The operations that read what became of a webhook's messages."""

    def __init__(
        self,
        webhooks: NamedWebhooks,
        log: Log,
        feed: AttemptFeed,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._monotonic = monotonic
        self._webhooks = webhooks
        self._log = log
        self._feed = feed
        self._clock = clock
        self._streams = AtOnce("streams of yours", _STREAMS_AT_ONCE)
        self._exports = AtOnce("exports of this organization's attempts", _EXPORTS_AT_ONCE)

    def operations(self) -> Sequence[AnyOperation]:
        """What is served. Fixed paths come before those with an attempt's id."""
        return (
            Operation(
                "GET",
                f"{WEBHOOK}/metrics",
                "Count the webhook's messages by status",
                self.get_metrics,
                NoQuery,
                NoBody,
                MetricsView,
                problems=(404,),
            ),
            Operation(
                "GET",
                f"{WEBHOOK}/metrics/history",
                "Count messages and attempts by hour or day",
                self.get_history,
                HistoryQuery,
                NoBody,
                History,
                problems=(404,),
            ),
            Operation(
                "GET",
                f"{WEBHOOK}/attempts",
                "List the attempts of the last 28 days, newest first",
                self.list_attempts,
                AttemptQuery,
                NoBody,
                AttemptList,
                problems=(404,),
            ),
            StreamedOperation(
                f"{WEBHOOK}/attempts/stream",
                "Attempts as they happen: events named attempt, and gap when some may have been missed",
                self.stream_attempts,
                NoQuery,
                "text/event-stream",
                problems=(404,),
                request_headers={_LAST_EVENT_ID: Header("You were away: the first event is a gap")},
                events={"attempt": AttemptView, "gap": Gap},
            ),
            StreamedOperation(
                f"{WEBHOOK}/attempts.csv",
                "Export the attempts of the last 28 days, newest first",
                self.export_attempts,
                ExportQuery,
                "text/csv",
                problems=(404,),
                response_headers={"Content-Disposition": "An attachment, with a name for the file"},
            ),
            Operation(
                "GET",
                f"{WEBHOOK}/attempts/{{attempt_id}}",
                "Get an attempt with what was sent and answered",
                self.get_attempt,
                NoQuery,
                NoBody,
                AttemptDetailsView,
                problems=(404,),
            ),
            Operation(
                "GET",
                f"{WEBHOOK}/messages/{{message_id}}",
                "Get a message with its attempts of the last 28 days",
                self.get_message,
                NoQuery,
                NoBody,
                MessageView,
                problems=(404,),
            ),
        )

    async def get_metrics(self, call: Call[NoQuery, NoBody]) -> Answer[MetricsView]:
        """The six figures."""
        webhook = await self._webhooks.of(call)
        return Answer(metrics_view(await self._log.metrics(webhook.organization_id, webhook.id)))

    async def get_history(self, call: Call[HistoryQuery, NoBody]) -> Answer[History]:
        """The buckets of a span."""
        webhook, (bucket, since, until) = await self._webhooks.of(call), self._asked_span(call.query)
        buckets = await self._log.history(webhook.organization_id, webhook.id, bucket, since, until)
        return Answer(History(items=[bucket_view(bucket) for bucket in buckets]))

    async def get_metrics_and_history(self, call: Call[HistoryQuery, NoBody]) -> tuple[MetricsView, History]:
        """Both at once, for a page that shows both: together they take hardly longer than the second."""
        webhook, (bucket, since, until) = await self._webhooks.of(call), self._asked_span(call.query)
        metrics, buckets = await self._log.metrics_and_history(
            webhook.organization_id, webhook.id, bucket, since, until
        )
        return metrics_view(metrics), History(items=[bucket_view(bucket) for bucket in buckets])

    def _asked_span(self, query: HistoryQuery) -> tuple[BucketSize, datetime, datetime]:
        now = self._clock()
        until = query.until or now
        # First of all: of the first moments and the last of the calendar nothing can be subtracted.
        if until.year < 2000 or until > now + _LONGEST_SPAN["day"]:
            raise invalid([BadField(field="to", detail="is a time at which nothing can have happened")])
        since = query.since or until - _DEFAULT_SPAN[query.bucket]
        _check_span(since, until)
        if until - since > _LONGEST_SPAN[query.bucket]:
            days = _LONGEST_SPAN[query.bucket].days
            raise invalid([BadField(field="from", detail=f"is more than {days} days before to; ask for less")])
        return query.bucket, since, until

    async def list_attempts(self, call: Call[AttemptQuery, NoBody]) -> Answer[AttemptList]:
        """A page of attempts."""
        webhook, query = await self._webhooks.of(call), call.query
        _check_span(query.since, query.until)
        try:
            page = await self._page(webhook, query, query.limit, query.cursor)
        except ValueError:
            raise bad_cursor() from None
        return Answer(
            AttemptList(items=[attempt_view(attempt) for attempt in page.items], next_cursor=page.next_cursor)
        )

    async def get_attempt(self, call: Call[NoQuery, NoBody]) -> Answer[AttemptDetailsView]:
        """One attempt."""
        webhook = await self._webhooks.of(call)
        details = await self._log.attempt(webhook.organization_id, webhook.id, call.path["attempt_id"])
        if details is None:
            raise not_found("attempt")
        return Answer(details_view(details, webhook))

    async def get_message(self, call: Call[NoQuery, NoBody]) -> Answer[MessageView]:
        """A message and what became of it."""
        webhook, message_id = await self._webhooks.of(call), call.path["message_id"]
        message, attempts = await asyncio.gather(
            self._log.message(webhook.organization_id, webhook.id, message_id),
            self._log.attempts_of_message(webhook.organization_id, webhook.id, message_id),
        )
        if message is None:
            raise not_found("message")
        return Answer(message_view(message, attempts))

    async def stream_attempts(self, call: Call[NoQuery, NoBody]) -> web.StreamResponse:
        """Server-sent events until the client leaves, reads nothing or is no longer let in.

        They end too when the webhook is deleted, and when the portal stops.
        """
        webhook = await self._webhooks.of(call)
        with self._streams.one(call.caller.id):
            return await self._stream(webhook, call)

    async def _stream(self, webhook: Webhook, call: Call[NoQuery, NoBody]) -> web.StreamResponse:
        request = call.request
        async with self._feed.watch(webhook.id) as watcher:
            response = web.StreamResponse(
                headers={
                    "Content-Type": "text/event-stream; charset=utf-8",
                    "Cache-Control": "no-store",
                    "X-Accel-Buffering": "no",
                }
            )
            await response.prepare(request)
            now = self._monotonic()
            ends, looks_again = now + _LONGEST_STREAM_SECONDS, now + _HEARTBEAT_SECONDS
            with suppress(ClientConnectionResetError):
                await _write(request, response, _WELCOME_BACK if _LAST_EVENT_ID in request.headers else _WELCOME)
                while (news := await watcher.take(_HEARTBEAT_SECONDS)) is not None:
                    now = self._monotonic()
                    if self._webhooks.directory.get(webhook.id) is None or now > ends:
                        break
                    if now >= looks_again:
                        if not await call.still_let_in():
                            break
                        looks_again = now + _HEARTBEAT_SECONDS
                    await _write(request, response, _events(*news))
        return response

    async def export_attempts(self, call: Call[ExportQuery, NoBody]) -> web.StreamResponse:
        """A CSV file, written bit by bit: memory holds a page of it."""
        webhook = await self._webhooks.of(call)
        _check_span(call.query.since, call.query.until)
        with self._exports.one(call.organization_id):
            return await self._export(webhook, call.query, call.request)

    async def _export(self, webhook: Webhook, query: ExportQuery, request: web.Request) -> web.StreamResponse:
        pages = self._pages(webhook, query)
        first = await anext(pages)
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/csv; charset=utf-8",
                "Content-Disposition": f'attachment; filename="attempts-{webhook.id}.csv"',
                "Cache-Control": "no-store",
            }
        )
        # Programs send a token, and their readers take the mark for a part of the first name.
        header = csv_export.header_line(for_spreadsheets=hdrs.AUTHORIZATION not in request.headers)
        await response.prepare(request)
        with suppress(ClientConnectionResetError):
            await _write(request, response, header + csv_export.lines(first))
            async for page in pages:
                await _write(request, response, csv_export.lines(page))
            await response.write_eof()
        return response

    async def _pages(self, webhook: Webhook, query: ExportQuery) -> AsyncIterator[Sequence[AttemptView]]:
        cursor: str | None = None
        while True:
            page = await self._page(webhook, query, _EXPORTED_AT_ONCE, cursor)
            for start in range(0, len(page.items) or 1, _WRITTEN_AT_ONCE):
                yield [attempt_view(attempt) for attempt in page.items[start : start + _WRITTEN_AT_ONCE]]
                # Thousands of rows are written without waiting for anything: others get their turn.
                await asyncio.sleep(0)
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _page(self, webhook: Webhook, query: ExportQuery, limit: int, cursor: str | None) -> Page:
        return await self._log.attempts(
            webhook.organization_id,
            webhook.id,
            status=query.status,
            limit=limit,
            cursor=cursor,
            since=query.since,
            until=query.until,
        )


def _check_span(since: datetime | None, until: datetime | None) -> None:
    if since is not None and until is not None and since >= until:
        raise invalid([BadField(field="from", detail="is not before to")])


async def _write(request: web.Request, response: web.StreamResponse, content: bytes) -> None:
    """Write a part of an answer.

    Raises:
        ClientConnectionResetError: the client has left, or was cut off because it reads nothing.
    """
    try:
        async with asyncio.timeout(_UNREAD_SECONDS):
            await response.write(content)
    except TimeoutError:
        # Whoever does not read cannot be told either.
        if request.transport is not None:
            request.transport.abort()
        raise ClientConnectionResetError("the client reads nothing") from None


def _events(rows: Sequence[AttemptView], dropped: int) -> bytes:
    if not rows and not dropped:
        return b": still here\n\n"
    gap = [b'event: gap\ndata: {"missed":%d}\n\n' % dropped] if dropped else []
    attempts = (
        b"event: attempt\nid: %b\ndata: %b\n\n" % (row.id.encode(), orjson.dumps(row.model_dump(mode="json")))
        for row in rows
    )
    return b"".join((*gap, *attempts))
