"""Pages of a webhook's attempts, newest first, by when they were executed or are due.

Attempts that have ended are found by time in ``attempt_times``, whose rows are hints: an attempt that was executed
twice has several. Of a webhook with few attempts all are read, so that the one that counts is among them; of others,
those of a page are looked up among the attempts themselves. Those that wait or run are found in the few hours that have
any. Of a message that was told of in several hours another of them may say that the attempt has ended, so they are
looked up too.
"""

# Only constants of these modules are put into statements; values are bound by the server.
# ruff: noqa: S608

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from dispatcher.delivery.outcome import NOT_ENDED, Status
from dispatcher.moments import milliseconds, moment
from dispatcher.recording import hours
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.cursors import Position
from dispatcher.recording.hours import Hours

Row = Mapping[str, Any]

COLUMNS: Final = """
    message_id, run, attempt, toString(status) AS status_name, duration_ms, response_code, error,
    toUnixTimestamp64Milli(executed_on) AS executed_ms, toUnixTimestamp64Milli(due_at) AS due_ms,
    toUnixTimestamp64Milli(at) AS at_ms
"""
"""What is read of an attempt of ``attempt_states``."""

_ENDED: Final[tuple[Status, ...]] = ("failed", "successful")

_HOUR_SECONDS = 3600
_ALL_DAYS_MS: Final = 28 * 86_400_000
_FOR_A_PAGE = 8
_FOR_A_PAGE_OF_FAILED: Final = 64
"""A page of a webhook is looked for in the time in which it has so many pages on average; failures are fewer."""

_FEW = 2_000
"""So many rows of a webhook are read at once rather than a page of them looked up in as many days."""

_MOST_LOOKED_UP = 10_000

_BEFORE = """
    at <= fromUnixTimestamp64Milli({at:Int64}, 'UTC') AND (at, message_id, run, attempt)
    < (fromUnixTimestamp64Milli({at:Int64}, 'UTC'), {message_id:String}, {run:UInt32}, {attempt:UInt32})
"""
_KEPT = "at >= now64(3, 'UTC') - INTERVAL 28 DAY"

_HINTS = f"""
    SELECT message_id, run, attempt, toString(status) AS status_name, toUnixTimestamp64Milli(at) AS at_ms,
        toDate(message_created_on) AS created_day
    FROM attempt_times
    WHERE {hours.OF_WEBHOOK} AND %s AND {_KEPT} AND {_BEFORE}
        AND at >= least(fromUnixTimestamp64Milli({{at:Int64}}, 'UTC'), now64(3, 'UTC'))
            - toIntervalMillisecond({{within_ms:Int64}})
    ORDER BY at DESC, message_id DESC, run DESC, attempt DESC LIMIT {{limit:UInt32}}
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
        AND toDate(message_created_on) IN %s
    ORDER BY version DESC LIMIT 1 BY message_id, run, attempt
"""
_CREATED_DAYS = "{created_days:Array(Date)}"
_AND_RETOLD_DAYS = f"""(
    SELECT arrayJoin({_CREATED_DAYS})
    UNION ALL
    SELECT toDate(hour) FROM retold_messages WHERE {hours.OF_WEBHOOK} AND message_id IN {{message_ids:Array(String)}}
)"""

# A version is a status and a time.
_THAT_WAIT = f"""
    SELECT message_id, run, attempt, max(version) AS latest, toInt64(bitAnd(latest, {hours.TIME_OF_VERSION})) AS at_ms
    FROM attempt_states
    WHERE {hours.OF_WEBHOOK} AND toStartOfHour(message_created_on) IN %s
    GROUP BY message_id, run, attempt
    HAVING bitShiftRight(latest, 48) IN {{ranks:Array(UInt8)}}
        AND (at_ms, message_id, run, attempt)
            < ({{at:Int64}}, {{message_id:String}}, {{run:UInt32}}, {{attempt:UInt32}})
        AND at_ms >= toUnixTimestamp64Milli(now64(3)) - {_ALL_DAYS_MS}
    ORDER BY at_ms DESC, message_id DESC, run DESC, attempt DESC LIMIT {{limit:UInt32}}
"""

_HAVE_ENDED = f"""
    SELECT message_id, run, attempt FROM attempt_states
    WHERE {hours.OF_WEBHOOK} AND message_id IN {{message_ids:Array(String)}}
        AND toDate(message_created_on) IN %s AND status IN {_ENDED}
"""

AFTER_ALL: Final = Position(at=(1 << 47), message_id="", run=0, attempt=0)
"""Where the list begins."""


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
        start = before or AFTER_ALL
        asked = [status] if status else [*NOT_ENDED, *_ENDED]
        ended = [each for each in asked if each in _ENDED]
        waiting = [each for each in asked if each in NOT_ENDED]
        state = await self._hours.of(organization_id, webhook_id)
        reading: list[Awaitable[Sequence[Row]]] = []
        if ended:
            reading.append(self._ended(of_webhook, ended, limit, start, state))
        if waiting and state.waiting:
            reading.append(self._waiting(of_webhook, waiting, limit, start, state))
        rows: list[Row] = [row for part in await asyncio.gather(*reading) for row in part]
        rows.sort(key=position, reverse=True)
        return rows[:limit]

    async def _waiting(
        self, of_webhook: Mapping[str, Any], statuses: Sequence[Status], limit: int, before: Position, state: Hours
    ) -> list[Row]:
        ranks = {NOT_ENDED.index(each) + 1: each for each in statuses}
        that_wait = _THAT_WAIT % hours.listed(state.waiting)
        rows: list[Row] = []
        at_once = limit
        while len(rows) < limit:
            parameters = {**of_webhook, "ranks": list(ranks), "limit": at_once, **before._asdict()}
            found = await self._clickhouse.query(that_wait, parameters)
            rows += await self._but_ended(of_webhook, found, state)
            if len(found) < at_once:
                break
            before = position(found[-1])
            # It may be an operation of a hundred thousand devices that was told of twice.
            at_once = min(8 * at_once, _MOST_LOOKED_UP)
        nothing_yet = {"duration_ms": None, "response_code": None, "error": ""}
        return [
            {
                **row,
                **nothing_yet,
                "status_name": ranks[row["latest"] >> 48],
                "executed_ms": row["at_ms"],
                "due_ms": row["at_ms"],
            }
            for row in rows
        ]

    async def _but_ended(self, of_webhook: Mapping[str, Any], found: Sequence[Row], state: Hours) -> Sequence[Row]:
        """Those that have not ended in an hour in which nothing waits."""
        if not found or not (state.recent or state.retold):
            return found
        parameters = {
            **of_webhook,
            "message_ids": sorted({row["message_id"] for row in found}),
            "created_days": _days_around(state.waiting),
        }
        days = _AND_RETOLD_DAYS if state.retold else _CREATED_DAYS
        ended = {_attempt(row) for row in await self._clickhouse.query(_HAVE_ENDED % days, parameters)}
        return [row for row in found if _attempt(row) not in ended]

    async def _ended(
        self, of_webhook: Mapping[str, Any], statuses: Sequence[Status], limit: int, before: Position, state: Hours
    ) -> list[Row]:
        if state.recent <= _FEW:
            of_few = await self._of_few(of_webhook, statuses, before)
            if of_few is not None:
                return of_few
        found: dict[Position, Row] = {}
        on_average = limit * (_FOR_A_PAGE_OF_FAILED if [*statuses] == ["failed"] else _FOR_A_PAGE)
        within_ms = _ALL_DAYS_MS * on_average // max(state.recent, on_average)
        while len(found) < limit:
            hints = await self._hints(of_webhook, statuses, within_ms, limit, before)
            found.update(await self._those_that_hold(of_webhook, hints, state))
            if hints:
                before = position(hints[-1])
            if len(hints) < limit:
                if within_ms == _ALL_DAYS_MS:
                    break
                within_ms = _ALL_DAYS_MS
        return list(found.values())

    async def _hints(
        self, of_webhook: Mapping[str, Any], statuses: Sequence[Status], within_ms: int, limit: int, before: Position
    ) -> Sequence[Row]:
        # The table is in order for each status: of all that there is, each is read no further than the page goes. To
        # read a little and sort it is one statement to plan instead of two.
        apart = [[each] for each in statuses] if within_ms == _ALL_DAYS_MS else [statuses]
        asked = (f"SELECT * FROM ({_HINTS % _of_status(some)})" for some in apart)
        parameters = {**of_webhook, "within_ms": within_ms, "limit": limit, **before._asdict()}
        hints = await self._clickhouse.query(
            " UNION ALL ".join(f"SELECT * FROM ({each})" for each in asked), parameters
        )
        return sorted(hints, key=position, reverse=True)[:limit]

    async def _of_few(
        self, of_webhook: Mapping[str, Any], statuses: Sequence[Status], before: Position
    ) -> list[Row] | None:
        """None where the webhook has many, or some that were recorded before their rows told everything."""
        hints = await self._clickhouse.query(_OF_FEW, {**of_webhook, "few": _FEW})
        if len(hints) > _FEW or not all(hint["told"] for hint in hints):
            return None
        latest: dict[tuple[str, int, int], Row] = {}
        for hint in sorted(hints, key=lambda hint: (_ENDED.index(hint["status_name"]), hint["at_ms"])):
            latest[_attempt(hint)] = hint
        return [
            row for row in latest.values() if row["kept"] and row["status_name"] in statuses and position(row) < before
        ]

    async def _those_that_hold(
        self, of_webhook: Mapping[str, Any], hints: Sequence[Row], state: Hours
    ) -> dict[Position, Row]:
        if not hints:
            return {}
        expected = {position(hint): hint["status_name"] for hint in hints}
        parameters = {
            **of_webhook,
            "message_ids": sorted({hint["message_id"] for hint in hints}),
            "created_days": sorted({hint["created_day"] for hint in hints}),
        }
        days = _AND_RETOLD_DAYS if state.retold else _CREATED_DAYS
        rows = await self._clickhouse.query(_LOOKED_UP % days, parameters)
        return {position(row): row for row in rows if expected.get(position(row)) == row["status_name"]}


def _attempt(row: Row) -> tuple[str, int, int]:
    return row["message_id"], row["run"], row["attempt"]


def _days_around(some_hours: Sequence[int]) -> list[date]:
    """The days of hours and of those before and after."""
    around = {hour + beside for hour in some_hours for beside in (-_HOUR_SECONDS, _HOUR_SECONDS)}
    return sorted({moment(hour * 1000).date() for hour in around})


def _of_status(statuses: Sequence[Status]) -> str:
    names = [f"'{each}'" for each in statuses]
    return f"status = {names[0]}" if len(names) == 1 else f"status IN ({', '.join(names)})"


def before_all_since(until: datetime) -> Position:
    """Where the list goes on with what came before a moment."""
    return Position(min(max(milliseconds(until), 0), AFTER_ALL.at), message_id="", run=0, attempt=0)


def position(row: Row) -> Position:
    """Where a row stands in the list."""
    return Position(row["at_ms"], row["message_id"], row["run"], row["attempt"])
