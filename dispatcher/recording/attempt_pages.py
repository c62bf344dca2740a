"""Pages of a webhook's attempts, newest first, by when they were executed or are due.

Attempts that have ended are found by time in ``attempt_times``, whose rows are hints: an attempt that was executed
twice has several. Of a webhook with few attempts all are read, so that the one that counts is among them; of others,
those of a page are looked up among the attempts themselves. Those that wait or run are found in the few hours that have
any.
"""

# Only constants of these modules are put into statements; values are bound by the server.
# ruff: noqa: S608

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
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

# A busy webhook's page is of one day, whose attempts lie in few parts.
_ONE_DAY, _ALL_DAYS = 1, 28

_FEW = 2_000
"""So many rows of a webhook are read at once rather than a page of them looked up in as many days."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEFORE = """
    at <= fromUnixTimestamp64Milli({at:Int64}, 'UTC') AND (at, message_id, run, attempt)
    < (fromUnixTimestamp64Milli({at:Int64}, 'UTC'), {message_id:String}, {run:UInt32}, {attempt:UInt32})
"""
_KEPT = "at >= now64(3, 'UTC') - INTERVAL 28 DAY"
_NEWEST_FIRST = "ORDER BY at DESC, message_id DESC, run DESC, attempt DESC LIMIT {limit:UInt32}"

# In the order of the table, which has no order across statuses.
_HINTS = f"""
    SELECT message_id, run, attempt, toString(status) AS status_name, toUnixTimestamp64Milli(at) AS at_ms,
        intDiv(toUnixTimestamp64Milli(message_created_on), 86400000) AS created_day
    FROM attempt_times
    WHERE {hours.OF_WEBHOOK} AND status = '%s' AND at >= now64(3, 'UTC') - toIntervalDay({{days:UInt8}}) AND {_BEFORE}
    {_NEWEST_FIRST}
"""

# All of a webhook's, unless they are too many.
_OF_FEW = f"""
    SELECT message_id, run, attempt, toString(status) AS status_name, duration_ms, response_code, error,
        toUnixTimestamp64Milli(at) AS at_ms, at_ms AS executed_ms, at_ms AS due_ms, told, {_KEPT} AS kept
    FROM attempt_times WHERE {hours.OF_WEBHOOK} LIMIT {{few:UInt32}} + 1
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
    WHERE {_KEPT} AND {_BEFORE}
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
        ended = [each for each in _ENDED if each in asked]
        waiting = [each for each in _NOT_ENDED if each in asked]
        state = await self._hours.of(organization_id, webhook_id)
        reading: list[Awaitable[Sequence[Row]]] = []
        if ended:
            reading.append(self._ended(of_webhook, ended, limit, start, state.recent <= _FEW))
        if waiting and state.waiting:
            parameters = {**of_webhook, "statuses": waiting, "limit": limit, **start._asdict()}
            reading.append(self._clickhouse.query(_THAT_WAIT % hours.listed(state.waiting), parameters))
        rows: list[Row] = [row for part in await asyncio.gather(*reading) for row in part]
        rows.sort(key=position, reverse=True)
        return rows[:limit]

    async def _ended(
        self, of_webhook: Mapping[str, Any], statuses: Sequence[Status], limit: int, before: Position, seem_few: bool
    ) -> list[Row]:
        if seem_few:
            of_few = await self._of_few(of_webhook, statuses, before)
            if of_few is not None:
                return of_few
        rows = await self._of_a_day(of_webhook, statuses, limit, before)
        if len(rows) >= limit:
            return rows
        parts = await asyncio.gather(*(self._of_all_days(of_webhook, each, limit, before) for each in statuses))
        return [row for part in parts for row in part]

    async def _of_a_day(
        self, of_webhook: Mapping[str, Any], statuses: Sequence[Status], limit: int, before: Position
    ) -> list[Row]:
        """The last day's, as far as the hints that were read reach without a gap."""
        found = await self._hints(of_webhook, statuses, _ONE_DAY, limit, before)
        parts = [[hint for hint in found if hint["status_name"] == status] for status in statuses]
        if all(len(hints) < limit for hints in parts):
            return []
        reach = max(position(hints[-1]) for hints in parts if len(hints) == limit)
        hints = [hint for part in parts for hint in part if position(hint) >= reach]
        return list((await self._those_that_hold(of_webhook, hints)).values())

    async def _of_few(
        self, of_webhook: Mapping[str, Any], statuses: Sequence[Status], before: Position
    ) -> list[Row] | None:
        """None where the webhook has many, or some that were recorded before their rows told everything."""
        hints = await self._clickhouse.query(_OF_FEW, {**of_webhook, "few": _FEW})
        if len(hints) > _FEW or not all(hint["told"] for hint in hints):
            return None
        latest: dict[tuple[str, int, int], Row] = {}
        for hint in sorted(hints, key=lambda hint: (_ENDED.index(hint["status_name"]), hint["at_ms"])):
            latest[hint["message_id"], hint["run"], hint["attempt"]] = hint
        return [
            row for row in latest.values() if row["kept"] and row["status_name"] in statuses and position(row) < before
        ]

    async def _of_all_days(
        self, of_webhook: Mapping[str, Any], status: Status, limit: int, before: Position
    ) -> list[Row]:
        found: dict[Position, Row] = {}
        while len(found) < limit:
            hints = await self._hints(of_webhook, [status], _ALL_DAYS, limit, before)
            found.update(await self._those_that_hold(of_webhook, hints))
            if len(hints) < limit:
                break
            before = position(hints[-1])
        return list(found.values())

    async def _hints(
        self, of_webhook: Mapping[str, Any], statuses: Sequence[Status], days: int, limit: int, before: Position
    ) -> Sequence[Row]:
        """The newest of each status, at most ``limit`` of each."""
        parameters = {**of_webhook, "days": days, "limit": limit, **before._asdict()}
        of_each = (f"SELECT * FROM ({_HINTS % status})" for status in statuses)
        return await self._clickhouse.query(" UNION ALL ".join(of_each), parameters)

    async def _those_that_hold(self, of_webhook: Mapping[str, Any], hints: Sequence[Row]) -> dict[Position, Row]:
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
