"""What the portal reads of deliveries: a webhook's metrics, its attempts, its messages and their bodies."""

# Only constants of this module are put into statements; values are bound by the server.
# ruff: noqa: S608

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from dispatcher.delivery.outcome import Status
from dispatcher.moments import EPOCH, milliseconds, moment
from dispatcher.recording import counts
from dispatcher.recording.attempt_pages import AFTER_ALL, COLUMNS, AttemptPages, before_all_since, position
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.cursors import read_cursor, write_cursor
from dispatcher.recording.history import (
    BUCKETS,
    MOST_RUNS,
    Attempt,
    AttemptDetails,
    Bucket,
    BucketSize,
    Message,
    Metrics,
    Page,
    Request,
    Response,
)
from dispatcher.recording.hours import OF_WEBHOOK, AskedHours, Hours
from dispatcher.recording.queued import FIRST_SENT

SHOWN_BODY_BYTES = 16 * 1024
"""How much of a body the details of an attempt show."""

_MOST_BUCKETS = 20_000
_MOST_ON_A_PAGE = 10_000
_MOST_OF_A_MESSAGE = 200

_OF_MESSAGE = f"{OF_WEBHOOK} AND message_id = {{message_id:String}}"
_OF_ATTEMPT = f"{_OF_MESSAGE} AND run = {{run:UInt32}} AND attempt = {{attempt:UInt32}}"


class DeliveryLog:
    """Reads about one webhook at a time. Times are aware; every method may raise ClickHouseUnavailable."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse
        self._hours = AskedHours(clickhouse)
        self._pages = AttemptPages(clickhouse, self._hours)

    async def metrics(self, organization_id: str, webhook_id: str) -> Metrics:
        """The webhook's messages, counted by status."""
        state = await self._hours.of(organization_id, webhook_id)
        if state.settled:
            return state.closed
        rows = await self._clickhouse.query(counts.counted(state), _of_webhook(organization_id, webhook_id))
        return _with_open(state, rows)

    async def history(
        self, organization_id: str, webhook_id: str, bucket: BucketSize, since: datetime, until: datetime
    ) -> list[Bucket]:
        """Every whole hour or day (UTC) from the one of ``since`` to the one before ``until``, quiet ones too.

        Raises:
            ValueError: the span is empty or has more than 20,000 buckets.
        """
        _, buckets = await self.metrics_and_history(organization_id, webhook_id, bucket, since, until)
        return buckets

    async def metrics_and_history(
        self, organization_id: str, webhook_id: str, bucket: BucketSize, since: datetime, until: datetime
    ) -> tuple[Metrics, list[Bucket]]:
        """``metrics`` and ``history`` in one, which is hardly more than the second alone.

        Raises:
            ValueError: as ``history``.
        """
        size = BUCKETS[bucket]
        first = since - (since - EPOCH) % size
        if until <= since:
            raise ValueError("the end is not after the beginning; give a from that is before to")
        if (until - first) / size > _MOST_BUCKETS:
            raise ValueError(f"that is more than {_MOST_BUCKETS} buckets; ask for a shorter time or for days")
        step = size // timedelta(seconds=1)
        start, end = milliseconds(first) // 1000, -(-milliseconds(until) // (1000 * step)) * step
        state = await self._hours.of(organization_id, webhook_id)
        counted = counts.counted(state, counts.Span(start, end, step))
        rows = await self._clickhouse.query(counted, _of_webhook(organization_id, webhook_id))
        by_start = {row["start"]: row for row in rows}
        return _with_open(state, rows), [_bucket(at, by_start.get(at, {})) for at in range(start, end, step)]

    async def attempts(
        self,
        organization_id: str,
        webhook_id: str,
        *,
        status: Status | None = None,
        limit: int = 50,
        cursor: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Page:
        """A page of the last 28 days' attempts, by when they were executed or are due, newest first.

        Those ``since`` a moment and before ``until`` another, if these are given.

        Raises:
            ValueError: the cursor is not one of a page before, or the limit is not between 1 and 10,000.
        """
        if not 1 <= limit <= _MOST_ON_A_PAGE:
            raise ValueError(f"the limit is not between 1 and {_MOST_ON_A_PAGE}")
        before = None if cursor is None else read_cursor(cursor)
        if until is not None:
            before = min(before_all_since(until), before or AFTER_ALL)
        rows = await self._pages.rows(organization_id, webhook_id, status, limit + 1, before)
        if since is not None:
            rows = [row for row in rows if row["at_ms"] >= milliseconds(since)]
        shown = rows[:limit]
        more = len(rows) > limit
        return Page([_attempt(row) for row in shown], write_cursor(position(shown[-1])) if more else None)

    async def attempt(self, organization_id: str, webhook_id: str, attempt_id: str) -> AttemptDetails | None:
        """One attempt with what was sent and answered, at most 16 KiB of each body; None when it is not kept."""
        message_id, run, attempt = _parts(attempt_id)
        if run is None or attempt is None:
            return None
        parameters = {
            "organization_id": organization_id,
            "webhook_id": webhook_id,
            "message_id": message_id,
            "run": run,
            "attempt": attempt,
        }
        rows = await self._clickhouse.query(
            f"SELECT {COLUMNS} FROM attempt_states WHERE {_OF_ATTEMPT} ORDER BY version DESC LIMIT 1", parameters
        )
        if not rows:
            return None
        details = await self._clickhouse.query(_DETAILS, parameters)
        exchanged = details[0] if details else {}
        sent = await self.body(organization_id, webhook_id, message_id) or b""
        answered = exchanged.get("response_body", "").encode()
        return AttemptDetails(
            attempt=_attempt(rows[0]),
            request=Request(
                url=exchanged.get("request_url", ""),
                headers=exchanged.get("request_headers", {}),
                body=_shown(sent),
                truncated=len(sent) > SHOWN_BODY_BYTES,
            ),
            response=Response(
                headers=exchanged.get("response_headers", {}),
                body=_shown(answered),
                truncated=exchanged.get("response_truncated", False) or len(answered) > SHOWN_BODY_BYTES,
            ),
        )

    async def attempts_of_message(self, organization_id: str, webhook_id: str, message_id: str) -> list[Attempt]:
        """A message's attempts of the last 28 days, the latest first, at most 200."""
        rows = await self._clickhouse.query(
            f"SELECT {COLUMNS} FROM attempt_states WHERE {_OF_MESSAGE}"
            " ORDER BY run DESC, attempt DESC, version DESC LIMIT 1 BY run, attempt LIMIT {limit:UInt32}",
            {
                "organization_id": organization_id,
                "webhook_id": webhook_id,
                "message_id": message_id,
                "limit": _MOST_OF_A_MESSAGE,
            },
        )
        return [_attempt(row) for row in rows]

    async def message(self, organization_id: str, webhook_id: str, message_id: str) -> Message | None:
        """One message; None when it is not known."""
        rows = await self._clickhouse.query(
            _MESSAGE,
            {"organization_id": organization_id, "webhook_id": webhook_id, "message_id": message_id},
        )
        if not rows:
            return None
        row = rows[0]
        return Message(
            message_id=message_id,
            status=row["status"],
            runs=row["runs"],
            attempts=row["attempts"],
            created_on=moment(row["created_ms"]),
            finished_on=_moment_or_none(row["finished_ms"]),
            event_type=row["event_type"],
            workspace_id=row["workspace_id"],
        )

    async def body(self, organization_id: str, webhook_id: str, message_id: str) -> bytes | None:
        """The bytes that every attempt of a message sends; None when they are not kept (28 days)."""
        rows = await self._clickhouse.query(
            f"SELECT base64Encode(body) AS body FROM message_bodies WHERE {_OF_MESSAGE} ORDER BY {FIRST_SENT} LIMIT 1",
            {"organization_id": organization_id, "webhook_id": webhook_id, "message_id": message_id},
        )
        return base64.b64decode(rows[0]["body"]) if rows else None


# As the view `messages` has it, whose FINAL takes several times as long.
_MESSAGE = f"""
    SELECT toString(tupleElement(max(state) AS latest, 'status')) AS status, least(max(m.runs), {MOST_RUNS}) AS runs,
        least(length(groupUniqArrayArray(made)), 255) AS attempts, max(m.event_type) AS event_type,
        max(m.workspace_id) AS workspace_id, toUnixTimestamp64Milli(min(created_on) AS created) AS created_ms,
        if(status IN ('successful', 'failed'), toUnixTimestamp64Milli(tupleElement(latest, 'finished_on')), NULL)
            AS finished_ms
    FROM message_states AS m
    WHERE {_OF_MESSAGE}
    GROUP BY message_id
    HAVING created >= toStartOfHour(now('UTC') - INTERVAL 13 MONTH)
"""

_DETAILS = f"""
    SELECT request_url, request_headers, response_headers, response_body, response_truncated
    FROM attempt_details WHERE {_OF_ATTEMPT} ORDER BY version DESC LIMIT 1
"""


def _of_webhook(organization_id: str, webhook_id: str) -> dict[str, Any]:
    return {"organization_id": organization_id, "webhook_id": webhook_id}


def _with_open(state: Hours, rows: Sequence[Mapping[str, Any]]) -> Metrics:
    closed = state.closed
    found: Counter[int] = Counter()
    for row in rows:
        found.update(_messages(row))
    return Metrics(**{name: getattr(closed, name) + found[kind] for name, kind in counts.OPEN.items()})


def _bucket(start: int, row: Mapping[str, Any]) -> Bucket:
    messages = _messages(row)
    p50, p95, p99 = row["quantiles"] if row.get("timed") else (None, None, None)
    return Bucket(
        start=moment(start * 1000),
        successful=messages[counts.ENDED["successful"]] + messages[counts.OPEN["successful"]],
        failed=messages[counts.ENDED["failed"]] + messages[counts.OPEN["failed"]],
        attempts=row.get("attempts", 0),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
    )


def _messages(row: Mapping[str, Any]) -> Counter[int]:
    return Counter(dict(zip(*row.get("messages", ((), ())), strict=True)))


def _attempt(row: Mapping[str, Any]) -> Attempt:
    waits = row["status_name"] == "pending"
    return Attempt(
        message_id=row["message_id"],
        run=row["run"],
        attempt=row["attempt"],
        status=row["status_name"],
        duration_ms=row["duration_ms"],
        response_code=row["response_code"],
        executed_on=None if waits else _moment_or_none(row["executed_ms"]),
        error=row["error"],
        next_attempt_at=moment(row["due_ms"]) if waits else None,
    )


def _parts(attempt_id: str) -> tuple[str, int | None, int | None]:
    message_id, run, attempt = ["", "", "", *attempt_id.rsplit("-", 2)][-3:]
    return message_id, _small_number(run), _small_number(attempt)


def _small_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else None


def _shown(body: bytes) -> str:
    return body[:SHOWN_BODY_BYTES].decode(errors="replace")


def _moment_or_none(ms: int | None) -> datetime | None:
    return None if ms is None else moment(ms)
