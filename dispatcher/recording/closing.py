"""Closing hours: what has come to rest is counted once, and again when something of it comes late; then its day.

Every recorder does it. What they write for an hour as of one moment is the same, and of two moments the later stands.
"""

# Only constants of these modules are put into statements; values are bound by the server.
# ruff: noqa: S608

import asyncio
import contextlib
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from dispatcher.background import Background
from dispatcher.errors import ClickHouseUnavailable
from dispatcher.moments import moment
from dispatcher.observability.metrics import HOURS_CLOSED
from dispatcher.recording import hours
from dispatcher.recording.clickhouse import ClickHouse, QueryFailed
from dispatcher.recording.retelling import find_retold

_EVERY_SECONDS = 60.0
_WEBHOOKS_AT_ONCE = 50_000
_HOURS_AT_ONCE = 48
_MESSAGES_AT_ONCE = 200_000
"""So that a statement takes seconds, and a stop need not wait for longer."""

_MOST_FAILED = 5
"""So many statements that fail are not about the hours."""

_SETTLED = timedelta(seconds=hours.SETTLED_SECONDS)

log = structlog.get_logger()

_TOUCHED = f"SELECT hour FROM touched_hours WHERE {hours.NOT_CLOSED_FOR_SURE}"
_HOURS = "hour IN {hours:Array(DateTime('UTC'))}"


def _to_close(which: str) -> str:
    return f"""
        SELECT organization_id, webhook_id, hour FROM (
            SELECT organization_id, webhook_id, hour, touched_on, toDateTime64(0, 3, 'UTC') AS counted_on
            FROM touched_hours WHERE {which}
            UNION ALL
            SELECT organization_id, webhook_id, hour, toDateTime64(0, 3, 'UTC'), as_of FROM closed_hours WHERE {which}
        )
        GROUP BY organization_id, webhook_id, hour
        HAVING max(touched_on) >= max(counted_on) AND max(touched_on) < {{as_of:DateTime64(3, 'UTC')}}
    """


_HOURS_TO_CLOSE = f"""
    SELECT hour, sum(n_webhooks) AS webhooks, sum(n_messages) AS messages FROM (
        SELECT hour, count() AS n_webhooks, 0 AS n_messages
        FROM ({_to_close(f"{hours.KEPT} AND hour IN ({_TOUCHED})")}) GROUP BY hour
        UNION ALL
        SELECT hour, 0, count() FROM messages_by_hour WHERE hour IN ({_TOUCHED}) GROUP BY hour
    )
    GROUP BY hour HAVING webhooks > 0 ORDER BY hour DESC
"""

_CHOSEN = _to_close(f"{_HOURS} AND cityHash64(webhook_id) % {{parts:UInt32}} = {{part:UInt32}}")
_EVERYBODY = "organization_id != ''"
_MESSAGE = "organization_id, webhook_id, hour, message_id"


_AMONG_CHOSEN = f"(organization_id, webhook_id, hour) IN ({_CHOSEN}) AND {_HOURS}"
# Of an attempt that was told of in several hours, the one with its last word: whatever comes later opens that one.
_RETOLD_THAT_WAIT = f"""
    SELECT organization_id, webhook_id, argMax(toStartOfHour(message_created_on), version) AS hour
    FROM attempt_states
    WHERE (organization_id, webhook_id, message_id) IN (
        SELECT organization_id, webhook_id, message_id FROM retold_messages WHERE {_HOURS})
    GROUP BY organization_id, webhook_id, message_id, run, attempt
    HAVING max(version) < {hours.FIRST_ENDED_VERSION}
"""


# Something that is inserted meanwhile opens the hour again, whatever is written here: then this row does not count.
_CLOSE = f"""
    INSERT INTO closed_hours (
        organization_id, webhook_id, hour, as_of, pending, in_progress, successful, failed, waiting, last_hour,
        ended.event_type, ended.hour, ended.successful, ended.failed, made.hour, made.milliseconds, made.attempts)
    SELECT organization_id, webhook_id, hour, {{as_of:DateTime64(3, 'UTC')}},
        sum(n_pending), sum(n_in_progress), sum(n_successful), sum(n_failed), sum(n_waiting), max(latest),
        arrayMap(each -> each.1, groupArrayArray(ends) AS all_ends), arrayMap(each -> each.2, all_ends),
        arrayMap(each -> each.3, all_ends), arrayMap(each -> each.4, all_ends),
        arrayMap(each -> each.1, groupArrayArray(makes) AS all_makes), arrayMap(each -> each.2, all_makes),
        arrayMap(each -> each.3, all_makes)
    FROM (
        SELECT organization_id, webhook_id, hour, 0 AS n_pending, 0 AS n_in_progress, 0 AS n_successful, 0 AS n_failed,
            0 AS n_waiting, hour AS latest,
            CAST([], 'Array(Tuple(String, DateTime(''UTC''), UInt64, UInt64))') AS ends,
            CAST([], 'Array(Tuple(DateTime(''UTC''), Int32, UInt64))') AS makes
        FROM ({_CHOSEN})
        UNION ALL
        SELECT organization_id, webhook_id, hour, sum(pending), sum(in_progress), sum(successful), sum(failed), 0,
            max(greatest(toDateTime(ended_at, 'UTC'), hour)),
            groupArrayIf((toString(event_type), toDateTime(ended_at, 'UTC'), successful, failed), ended_at > 0), []
        FROM (
            SELECT organization_id, webhook_id, hour, event_type, {hours.ENDED_AT} AS ended_at,
                countIf({hours.STATUS} = 'pending') AS pending, countIf({hours.STATUS} = 'in_progress') AS in_progress,
                countIf({hours.STATUS} = 'successful') AS successful, countIf({hours.STATUS} = 'failed') AS failed
            FROM ({hours.messages(_EVERYBODY, _AMONG_CHOSEN, by=_MESSAGE)})
            GROUP BY organization_id, webhook_id, hour, event_type, ended_at
        )
        GROUP BY organization_id, webhook_id, hour
        UNION ALL
        SELECT organization_id, webhook_id, hour, 0, 0, 0, 0, sumIf(attempts, waits),
            max(toDateTime(made_at, 'UTC')),
            [], groupArrayIf((toDateTime(made_at, 'UTC'), milliseconds, attempts), NOT waits)
        FROM (
            SELECT organization_id, webhook_id, hour, {hours.WAITS} AS waits, {hours.MADE_AT} AS made_at,
                {hours.MILLISECONDS} AS milliseconds, count() AS attempts
            FROM ({hours.attempts(_EVERYBODY, _AMONG_CHOSEN, by=_MESSAGE)})
            GROUP BY organization_id, webhook_id, hour, waits, made_at, milliseconds
        )
        GROUP BY organization_id, webhook_id, hour
        UNION ALL
        SELECT organization_id, webhook_id, hour, 0, 0, 0, 0, count(), hour, [], []
        FROM ({_RETOLD_THAT_WAIT}) WHERE {_AMONG_CHOSEN}
        GROUP BY organization_id, webhook_id, hour
    )
    GROUP BY organization_id, webhook_id, hour
    SETTINGS max_threads = 1, max_bytes_before_external_group_by = 1000000000
"""


_CLOSED_SINCE = f"as_of >= {hours.CLOSED_UNTIL}"

# Days with an hour that was closed after all others were, which the last row of the day may lack.
_DAYS_TO_CLOSE = f"""
    SELECT toDate(hour) AS day, uniq(organization_id, webhook_id) AS webhooks FROM closed_hours
    WHERE {hours.KEPT} AND hour IN ({_TOUCHED}) AND {_CLOSED_SINCE}
    GROUP BY day ORDER BY day DESC
"""

# What is inserted before the statement begins is among what it reads: so of two rows the one that began later has more.
_CLOSE_DAYS = f"""
    INSERT INTO closed_days (organization_id, webhook_id, day, as_of, last_day, ended.on, ended.successful,
        ended.failed, by_hour.hour, by_hour.on, by_hour.successful, by_hour.failed)
    SELECT organization_id, webhook_id, day, now64(3, 'UTC'), max(on), groupArray(on), groupArray(sum_successful),
        groupArray(sum_failed), groupArrayArray(hours), groupArrayArray(arrayResize([], length(hours), on)),
        groupArrayArray(all_successful), groupArrayArray(all_failed)
    FROM (
        SELECT organization_id, webhook_id, toDate(hour) AS day, on, sum(successful) AS sum_successful,
            sum(failed) AS sum_failed, groupArray(hour) AS hours, groupArray(successful) AS all_successful,
            groupArray(failed) AS all_failed
        FROM (
            SELECT organization_id, webhook_id, hour, toDate(each.1) AS on, sum(each.2) AS successful,
                sum(each.3) AS failed
            FROM closed_hours FINAL
            LEFT ARRAY JOIN arrayZip(ended.hour, ended.successful, ended.failed) AS each
            WHERE toDate(hour) IN {{days:Array(Date)}} AND (organization_id, webhook_id, toDate(hour)) IN (
                SELECT organization_id, webhook_id, toDate(hour) FROM closed_hours
                WHERE toDate(hour) IN {{days:Array(Date)}}
                    AND {_CLOSED_SINCE})
            GROUP BY organization_id, webhook_id, hour, on
        )
        GROUP BY organization_id, webhook_id, day, on
    )
    GROUP BY organization_id, webhook_id, day
    SETTINGS max_threads = 1
"""

# Readers need not compare what was touched before.
_LAST_CLOSED = f"SELECT toUnixTimestamp({hours.CLOSED_UNTIL}) AS until"
_LOOKED = f"INSERT INTO looks (name, until) SELECT '{hours.CLOSED}', toDateTime({{until:UInt32}}, 'UTC')"


async def close_hours(clickhouse: ClickHouse, *, settled: timedelta = _SETTLED) -> int:
    """Count the hours that were touched since all were counted last and not in the last while, ``settled``.

    How many hours of webhooks that were. The server's clock counts, which stamps what touches an hour too.

    Raises:
        ClickHouseUnavailable: it does not answer, or not in time; hours that it did count in time are closed.
        QueryFailed: it refuses, or there is no schema yet.
    """
    [row] = await clickhouse.query("SELECT toUnixTimestamp64Milli(now64(3, 'UTC')) AS ms")
    as_of = moment(row["ms"]) - settled
    parameters: dict[str, Any] = {"as_of": _written(as_of)}
    to_close = await clickhouse.query(_HOURS_TO_CLOSE, parameters)
    failed = list[ClickHouseUnavailable | QueryFailed]()
    for together in _in_batches(to_close):
        parts = math.ceil(sum(row["messages"] for row in together) / _MESSAGES_AT_ONCE) or 1
        for part in range(parts):
            chosen = {"hours": [row["hour"] for row in together], "parts": parts, "part": part}
            try:
                await clickhouse.maintain(_CLOSE, {**parameters, **chosen})
            except (ClickHouseUnavailable, QueryFailed) as error:
                # Hours of other webhooks are not as large.
                failed.append(error)
                if len(failed) == _MOST_FAILED:
                    raise
    days = await clickhouse.query(_DAYS_TO_CLOSE)
    for together in _in_batches({**day, "messages": 0} for day in days):
        await clickhouse.maintain(_CLOSE_DAYS, {"days": [day["day"] for day in together]})
    if failed:
        raise failed[0]
    until = as_of - max(settled, timedelta(0))
    await clickhouse.maintain(_LOOKED, {"until": math.floor(until.timestamp())})
    return sum(row["webhooks"] for row in to_close)


class Closing(Background):
    """Closes hours every minute; ``chance``, from 0 up to 1, keeps recorders from doing it at the same time."""

    def __init__(self, clickhouse: ClickHouse, *, chance: Callable[[], float] = random.random) -> None:
        self._clickhouse = clickhouse
        self._chance = chance

    async def _run(self) -> None:
        HOURS_CLOSED.set(await self._last_closed())
        while True:
            found = False
            try:
                await find_retold(self._clickhouse)
                found = True
            except (ClickHouseUnavailable, QueryFailed) as error:
                log.warning("events published again in another hour are found later", error=str(error))
            try:
                closed = await close_hours(self._clickhouse)
            except (ClickHouseUnavailable, QueryFailed) as error:
                log.warning("hours are closed later; what is shown is right, and slower", error=str(error))
            else:
                if found:
                    HOURS_CLOSED.set_to_current_time()
                log.debug("hours of webhooks were closed", hours=closed)
            await asyncio.sleep(_EVERY_SECONDS * (0.5 + self._chance()))

    async def _last_closed(self) -> float:
        """Up to when a recorder has counted all that was touched, in seconds since the epoch; now, if none ever did."""
        with contextlib.suppress(ClickHouseUnavailable, QueryFailed):
            [row] = await self._clickhouse.query(_LAST_CLOSED)
            if row["until"]:
                return float(row["until"])
        return time.time()


def _in_batches(to_close: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Hours that have as many messages together as a statement should read; at least one at a time."""
    batch: list[Mapping[str, Any]] = []
    messages = webhooks = 0
    for row in to_close:
        messages, webhooks = messages + row["messages"], webhooks + row["webhooks"]
        if batch and (messages > _MESSAGES_AT_ONCE or webhooks > _WEBHOOKS_AT_ONCE or len(batch) == _HOURS_AT_ONCE):
            yield batch
            batch, messages, webhooks = [], row["messages"], row["webhooks"]
        batch.append(row)
    if batch:
        yield batch


def _written(at: datetime) -> str:
    """A moment as a DateTime64(3) that says no zone, which the statements read as UTC."""
    return at.strftime("%Y-%m-%d %H:%M:%S.") + f"{at.microsecond // 1000:03d}"
