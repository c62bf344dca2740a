"""Messages that failed and can be sent again, because their bodies are still kept: counted, and read in batches."""

# Only constants of this module are put into statements; values are bound by the server.
# ruff: noqa: S608

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dispatcher.moments import milliseconds, moment
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.history import MOST_RUNS, Message
from dispatcher.recording.hours import OF_WEBHOOK
from dispatcher.recording.queued import FIRST_SENT

_PAGE = 8_000
_BODIES_AT_ONCE = 200  # of 256 KiB at most

_FAILED = f"""
    {OF_WEBHOOK} AND status = 'failed' AND runs < {MOST_RUNS}
    AND finished_on >= fromUnixTimestamp64Milli({{since:Int64}}, 'UTC')
    AND finished_on < fromUnixTimestamp64Milli({{until:Int64}}, 'UTC')
"""

_COUNT = f"""
    SELECT uniqExact(message_id) AS messages FROM message_bodies
    WHERE {OF_WEBHOOK} AND message_id IN (
        SELECT message_id FROM messages
        WHERE {_FAILED} AND (message_id, runs) NOT IN {{except:Array(Tuple(String, UInt8))}})
"""

# In the order of the table's key, which the next page goes on after.
_MESSAGES = f"""
    SELECT message_id, runs, attempts, event_type, workspace_id, toUnixTimestamp64Milli(created_on) AS created_ms,
        toUnixTimestamp64Milli(finished_on) AS finished_ms
    FROM messages WHERE {_FAILED} AND message_id > {{after:String}}
    ORDER BY message_id LIMIT {{limit:UInt32}}
"""

_BODIES = f"""
    SELECT message_id, base64Encode(body) AS body FROM message_bodies
    WHERE {OF_WEBHOOK} AND message_id IN {{ids:Array(String)}}
    ORDER BY message_id, {FIRST_SENT} LIMIT 1 BY message_id
"""


@dataclass(frozen=True, slots=True)
class Span:
    """From ``since`` up to ``until``."""

    since: datetime
    until: datetime

    def without(self, others: Sequence["Span"]) -> list["Span"]:
        """What of this span is in none of the others, the earliest first."""
        left, since = [], self.since
        for other in sorted(others, key=lambda one: one.since):
            if other.until <= since or other.since >= self.until:
                continue
            if other.since > since:
                left.append(Span(since, other.since))
            since = other.until
        return [*left, Span(since, self.until)] if since < self.until else left


@dataclass(frozen=True, slots=True)
class Recoverable:
    """A message that failed, and what was sent."""

    message: Message
    body: bytes


class RecoverableMessages:
    """Reads about one webhook at a time; both methods may raise ClickHouseUnavailable."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def count(
        self, organization_id: str, webhook_id: str, span: Span, *, but: Sequence[tuple[str, int]] = ()
    ) -> int:
        """How many messages failed for good in a span of time and have their bodies kept.

        But for some, as long as these have no more than so many runs.
        """
        parameters = {**_parameters(organization_id, webhook_id, span), "except": list(but)}
        return int((await self._clickhouse.query(_COUNT, parameters))[0]["messages"])

    async def batches(self, organization_id: str, webhook_id: str, span: Span) -> AsyncIterator[list[Recoverable]]:
        """The messages, a few at a time, so that memory is bounded however many they are."""
        parameters = {**_parameters(organization_id, webhook_id, span), "after": "", "limit": _PAGE}
        while True:
            rows = await self._clickhouse.query(_MESSAGES, parameters)
            for start in range(0, len(rows), _BODIES_AT_ONCE):
                some = {row["message_id"]: row for row in rows[start : start + _BODIES_AT_ONCE]}
                kept = await self._clickhouse.query(_BODIES, {**parameters, "ids": list(some)})
                yield [_recoverable(some[row["message_id"]], row["body"]) for row in kept]
            if len(rows) < _PAGE:
                return
            parameters["after"] = rows[-1]["message_id"]


def _parameters(organization_id: str, webhook_id: str, span: Span) -> dict[str, Any]:
    return {
        "organization_id": organization_id,
        "webhook_id": webhook_id,
        "since": milliseconds(span.since),
        "until": milliseconds(span.until),
    }


def _recoverable(row: Mapping[str, Any], body: str) -> Recoverable:
    message = Message(
        message_id=row["message_id"],
        status="failed",
        runs=row["runs"],
        attempts=row["attempts"],
        created_on=moment(row["created_ms"]),
        finished_on=moment(row["finished_ms"]),
        event_type=row["event_type"],
        workspace_id=row["workspace_id"],
    )
    return Recoverable(message, base64.b64decode(body))
