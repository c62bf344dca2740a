"""Pages of a webhook's attempts, newest first, by when they were executed or are due.

Attempts that have ended are found by time in ``attempt_times``, whose rows are hints: each is looked up among the
attempts themselves. Those that wait or run are found in the few hours that have any.
"""

# Only constants of these modules are put into statements; values are bound by the server.
# ruff: noqa: S608

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from dispatcher.delivery.outcome import Status
from dispatcher.recording import hours
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.pages import Position

Row = Mapping[str, Any]

COLUMNS: Final = """
    message_id, run, attempt, toString(status) AS status_name, duration_ms, response_code, error,
    toUnixTimestamp64Milli(executed_on) AS executed_ms, toUnixTimestamp64Milli(due_at) AS due_ms,
    toUnixTimestamp64Milli(at) AS at_ms
"""
"""What is read of an attempt of ``attempt_states``."""

_ENDED: Final[Sequence[Status]] = ("failed", "successful")
_NOT_ENDED: Final[Sequence[Status]] = ("pending", "in_progress")

# A day's are nearly always enough for a page, and lie in few parts.
_SPANS = (1, 28)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEFORE = """
    at <= fromUnixTimestamp64Milli({at:Int64}, 'UTC') AND (at, message_id, run, attempt)
    < (fromUnixTimestamp64Milli({at:Int64}, 'UTC'), {message_id:String}, {run:UInt32}, {attempt:UInt32})
"""
_NEWEST_FIRST = "ORDER BY at DESC, message_id DESC, run DESC, attempt DESC LIMIT {limit:UInt32}"

_HINTS = f"""
    SELECT message_id, run, attempt, toString(status) AS status_name, toUnixTimestamp64Milli(at) AS at_ms,
        intDiv(toUnixTimestamp64Milli(message_created_on), 86400000) AS created_day
    FROM attempt_times
    WHERE {hours.OF_WEBHOOK} AND status = {{status:String}} AND at >= now64(3, 'UTC') - toIntervalDay({{days:UInt8}})
        AND {_BEFORE}
    {_NEWEST_FIRST}
"""

_LOOKED_UP = f"""
    SELECT {COLUMNS} FROM attempt_states
    WHERE {hours.OF_WEBHOOK} AND message_id IN {{message_ids:Array(String)}}
        AND toDate(message_created_on) IN (
            SELECT arrayJoin({{created_days:Array(Date)}})
            UNION ALL
            SELECT toDate(hour) FROM retold_messages
            WHERE {hours.OF_WEBHOOK} AND message_id IN {{message_ids:Array(String)}})
    ORDER BY version DESC LIMIT 1 BY message_id, run, attempt
"""

# A version is a status and a time.
_THAT_WAIT = f"""
    SELECT message_id, run, attempt, status_name,
        NULL AS duration_ms, NULL AS response_code, '' AS error, at_ms AS executed_ms, at_ms AS due_ms, at_ms
    FROM (
        SELECT message_id, run, attempt, max(version) AS latest,
            ['pending', 'in_progress', 'failed', 'successful'][bitShiftRight(latest, 48)] AS status_name,
            toInt64(bitAnd(latest, 281474976710655)) AS at_ms, fromUnixTimestamp64Milli(at_ms, 'UTC') AS at
        FROM attempt_states
        WHERE {hours.OF_WEBHOOK} AND toStartOfHour(message_created_on) IN %s
        GROUP BY message_id, run, attempt
        HAVING status_name IN {{statuses:Array(String)}}
    )
    WHERE at >= now64(3, 'UTC') - INTERVAL 28 DAY AND {_BEFORE}
    {_NEWEST_FIRST}
"""

_AFTER_ALL = Position(at=(1 << 47), message_id="", run=0, attempt=0)


class AttemptPages:
    """Reads rows of attempts as ``COLUMNS`` names them."""

    def __init__(self, clickhouse: ClickHouse, asked_hours: hours.AskedHours) -> None:
        self._clickhouse = clickhouse
        self._hours = asked_hours

    async def rows(
        self, organization_id: str, webhook_id: str, status: Status | None, limit: int, before: Position | None
    ) -> list[Row]:
        """The newest of the last 28 days that come before a position, at most ``limit``.

        Raises:
            ClickHouseUnavailable: it does not answer.
        """
        of_webhook = {"organization_id": organization_id, "webhook_id": webhook_id}
        start = before or _AFTER_ALL
        asked = [status] if status else [*_ENDED, *_NOT_ENDED]
        reading = [self._ended(of_webhook, each, limit, start) for each in _ENDED if each in asked]
        waiting = [each for each in _NOT_ENDED if each in asked]
        if waiting:
            parameters = {**of_webhook, "statuses": waiting, "limit": limit, **start._asdict()}
            reading.append(self._waiting(organization_id, webhook_id, parameters))
        rows: list[Row] = [row for part in await asyncio.gather(*reading) for row in part]
        rows.sort(key=position, reverse=True)
        return rows[:limit]

    async def _waiting(self, organization_id: str, webhook_id: str, parameters: Mapping[str, Any]) -> list[Row]:
        state = await self._hours.of(organization_id, webhook_id)
        if not state.waiting:
            return []
        return list(await self._clickhouse.query(_THAT_WAIT % hours.listed(state.waiting), parameters))

    async def _ended(self, of_webhook: Mapping[str, Any], status: Status, limit: int, before: Position) -> list[Row]:
        found: dict[Position, dict[str, Any]] = {}
        for days in _SPANS:
            while len(found) < limit:
                parameters = {**of_webhook, "status": status, "days": days, "limit": limit, **before._asdict()}
                hints = await self._clickhouse.query(_HINTS, parameters)
                found.update(await self._those_that_hold(of_webhook, hints))
                if len(hints) < limit:
                    break
                before = position(hints[-1])
        return list(found.values())

    async def _those_that_hold(
        self, of_webhook: Mapping[str, Any], hints: Sequence[Row]
    ) -> dict[Position, dict[str, Any]]:
        if not hints:
            return {}
        expected = {position(hint): hint["status_name"] for hint in hints}
        days = {date(1970, 1, 1) + timedelta(days=hint["created_day"]) for hint in hints}
        parameters = {
            **of_webhook,
            "message_ids": sorted({hint["message_id"] for hint in hints}),
            "created_days": sorted(days),
        }
        rows = await self._clickhouse.query(_LOOKED_UP, parameters)
        return {position(row): row for row in rows if expected.get(position(row)) == row["status_name"]}


def position(row: Row) -> Position:
    """Where a row stands in the list."""
    return Position(row["at_ms"], row["message_id"], row["run"], row["attempt"])
