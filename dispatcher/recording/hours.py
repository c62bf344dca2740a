"""The hours of a webhook: which are open, and what is in them, as parts of statements.

A message and its attempts belong to the hour (UTC) in which the message was created. An hour is open from when
something of it is inserted until ``closing`` has counted it again; what is asked is the sum of the closed hours' rows
and of what is counted in the open ones. An event that is published again in another hour is the same message still:
``retelling`` finds such messages, and they are counted by themselves, in no hour. All count by what is here, so that
closing an hour changes no answer.
"""

# Only constants of this module are put into statements; values are bound by the server.
# ruff: noqa: S608

import asyncio
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.history import Metrics

KEPT: Final = "hour >= toStartOfHour(now('UTC') - INTERVAL 13 MONTH)"
"""Which hours count."""

ATTEMPTS_KEPT: Final = "toStartOfHour(now('UTC') - INTERVAL 28 DAY)"
"""The first hour whose attempts count."""

SETTLED_SECONDS: Final = 60
"""How long ago an insert must have begun for its rows to be there: longer than one may take."""

_HOUR_SECONDS = 3600

# Seven significant bits: durations that differ by less than 0.8 % are one, so that quantiles of many hours follow from
# some hundred numbers, and are the same whichever hours are closed. A Float32 has the bits in front: 17 are left out,
# and the first of these set, which makes it the middle.
MILLISECONDS: Final = """
    if(isNull(duration_ms), -1, toInt32(reinterpretAsFloat32(
        bitOr(bitAnd(reinterpretAsUInt32(toFloat32(assumeNotNull(duration_ms))), 4294836224), 65536))))
"""
"""How long an attempt of ``attempts`` took, about; -1: it called nobody."""

TIME_OF_VERSION: Final = "281474976710655"
"""The bits of an attempt's version that are its time in milliseconds; the status is above them."""

FIRST_ENDED_VERSION: Final = "844424930131968"
"""The least version of an attempt that has ended."""

WAITS: Final = f"version < {FIRST_ENDED_VERSION}"
"""Whether an attempt of ``attempts`` has not ended."""

MADE_AT: Final = f"toUInt32(intDiv(bitAnd(version, {TIME_OF_VERSION}), 3600000) * 3600)"
"""The hour in which it was made, in seconds since the epoch."""

STATUS: Final = "tupleElement(state, 'status')"
"""The status of a message of ``messages``."""

ENDED_AT: Final = "toUInt32(intDiv(toUnixTimestamp(tupleElement(state, 'finished_on')), 3600) * 3600)"
"""The hour in which a message of ``messages`` ended, in seconds since the epoch; 0: it has not."""


OF_WEBHOOK: Final = "organization_id = {organization_id:String} AND webhook_id = {webhook_id:String}"

OF_ORGANIZATION: Final = "organization_id = {organization_id:String}"

CLOSED: Final = "closed_days"
"""The name among ``looks`` of the moment up to which every hour that was touched has been counted, and its day."""

CLOSED_UNTIL: Final = f"(SELECT max(until) FROM looks WHERE name = '{CLOSED}')"
"""That moment; the beginning of time, if hours were never closed."""

NOT_CLOSED_FOR_SURE: Final = f"touched_on >= {CLOSED_UNTIL}"
"""Which rows of ``touched_hours`` have not been before that moment."""

_OPEN = "max(touched_ms) >= max(counted_ms)"

_STATE = f"""
    SELECT groupArrayIf(at, is_open) AS open_hours, groupArrayIf(at, figures.5 > 0) AS waiting_hours,
        (SELECT count() > 0 FROM retold_messages WHERE {OF_WEBHOOK}) AS any_retold,
        sumIf(figures.1, NOT is_open) AS pending, sumIf(figures.2, NOT is_open) AS in_progress,
        sumIf(figures.3, NOT is_open) AS successful, sumIf(figures.4, NOT is_open) AS failed,
        toUnixTimestamp({ATTEMPTS_KEPT}) AS kept_since,
        sumIf(figures.3 + figures.4, at >= kept_since) AS recent
    FROM (
        SELECT toUnixTimestamp(hour) AS at, {_OPEN} AS is_open, argMax(counted, counted_ms) AS figures
        FROM (
            SELECT hour, toUnixTimestamp64Milli(touched_on) AS touched_ms, 0 AS counted_ms, (0, 0, 0, 0, 0) AS counted
            FROM touched_hours WHERE {OF_WEBHOOK} AND {KEPT}
            UNION ALL
            SELECT hour, 0, toUnixTimestamp64Milli(as_of), (pending, in_progress, successful, failed, waiting)
            FROM closed_hours WHERE {OF_WEBHOOK} AND {KEPT}
        )
        GROUP BY hour
    )
"""


@dataclass(frozen=True, slots=True)
class Hours:
    """What is known of a webhook's closed hours, and which have to be looked into; as seconds since the epoch."""

    open: tuple[int, ...]
    """Those to be counted from rows."""
    old: bool
    """Whether any of these may be older than the attempts that are kept."""
    waiting: tuple[int, ...]
    """Those that may have attempts that have not ended."""
    retold: bool
    """Whether any message was told of in several."""
    closed: Metrics
    """The messages of all that are not open."""
    recent: int
    """About how many messages of the last 28 days have ended."""
    kept_since: int
    """The first hour whose attempts count."""

    @property
    def settled(self) -> bool:
        """Whether nothing has to be counted beside what is closed."""
        return not self.open and not self.retold


class AskedHours:
    """The states of webhooks' hours; those who ask for the same one at the same time share the answer."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse
        self._asking: dict[tuple[str, str], asyncio.Task[Hours]] = {}

    async def of(self, organization_id: str, webhook_id: str) -> Hours:
        """The state of a webhook's hours, as ``hours_of`` has it."""
        of_webhook = organization_id, webhook_id
        asking = self._asking.get(of_webhook)
        if asking is None:
            asking = asyncio.create_task(hours_of(self._clickhouse, organization_id, webhook_id))
            self._asking[of_webhook] = asking
            asking.add_done_callback(functools.partial(self._answered, of_webhook))
        # Who leaves does not take the answer from the others.
        return await asyncio.shield(asking)

    def _answered(self, of_webhook: tuple[str, str], asking: asyncio.Task[Hours]) -> None:
        del self._asking[of_webhook]
        if not asking.cancelled():
            asking.exception()  # Known even if everybody has left.


async def hours_of(clickhouse: ClickHouse, organization_id: str, webhook_id: str) -> Hours:
    """The state of a webhook's hours.

    Raises:
        ClickHouseUnavailable: it does not answer, or has no schema yet.
    """
    [row] = await clickhouse.query(_STATE, {"organization_id": organization_id, "webhook_id": webhook_id})
    is_open = sorted(row["open_hours"])
    return Hours(
        open=tuple(is_open),
        # An hour may pass before the hours are looked into.
        old=bool(is_open) and is_open[0] <= row["kept_since"] + _HOUR_SECONDS,
        waiting=tuple(sorted({*is_open, *row["waiting_hours"]})),
        retold=bool(row["any_retold"]),
        closed=Metrics(**{each: row[each] for each in ("successful", "pending", "in_progress", "failed")}),
        recent=row["recent"],
        kept_since=row["kept_since"],
    )


def listed(hours: Iterable[int]) -> str:
    """Hours as something that IN takes: in the statement's text, since parameters travel in a URL, which is bounded."""
    return f"[{','.join(str(int(hour)) for hour in hours)}]"


def messages(scope: str, within: str, *, by: str = "message_id", retold: bool = True, old: bool = True) -> str:
    """A query for the messages of some hours, with the columns ``by``.

    ``within`` is a condition on the hour and the webhook, and ``scope`` a wider one on the organization or webhook.
    Rows that were not merged yet are one message, if ``by`` has the hour then one in each that names it. Those that are
    known to be told of in several hours are left out; without ``retold`` there are none. Without ``old`` none of the
    hours is older than the attempts that are kept. Nothing superfluous is asked: to plan it takes the engine longer
    than to read the few rows of an hour.
    """
    those = f"{within} {_but_retold(scope, retold)}"
    recent = f"SELECT {by}, event_type, state FROM messages_by_hour WHERE {those}"
    if not old:
        return _messages(recent, by)
    return _messages(
        f"""
        {recent} AND hour >= {ATTEMPTS_KEPT}
        UNION ALL
        SELECT {by}, event_type, state FROM (SELECT *, toStartOfHour(created_on) AS hour FROM message_states)
        WHERE {those} AND created_on < {ATTEMPTS_KEPT}
        """,
        by,
    )


def retold_messages(scope: str, *, by: str = "message_id") -> str:
    """A query for the messages that were told of in several hours, of whichever hours."""
    rows = f"SELECT {by}, event_type, state FROM message_states WHERE {scope} AND {_retold(scope)} AND {_CREATED_KEPT}"
    return _messages(rows, by)


def attempts(scope: str, within: str, *, by: str = "message_id", retold: bool = True) -> str:
    """A query for the attempts at the messages of some hours, as ``messages`` has them."""
    return _attempts(f"{within} {_but_retold(scope, retold)}", by)


def retold_attempts(scope: str) -> str:
    """A query for the attempts at the messages that were told of in several hours."""
    return _attempts(f"{scope} AND {_retold(scope)}", "message_id")


_KEY = "(organization_id, webhook_id, message_id)"
_CREATED_KEPT = "created_on >= toStartOfHour(now('UTC') - INTERVAL 13 MONTH)"


def _retold(scope: str) -> str:
    return f"{_KEY} IN (SELECT organization_id, webhook_id, message_id FROM retold_messages WHERE {scope})"


def _but_retold(scope: str, retold: bool) -> str:
    return f" AND NOT {_retold(scope)}" if retold else ""


def _messages(rows: str, by: str) -> str:
    return f"SELECT {by}, max(m.event_type) AS event_type, max(m.state) AS state FROM ({rows}) AS m GROUP BY {by}"


def _attempts(condition: str, by: str) -> str:
    return f"""
        SELECT {by}, run, attempt, max(s.version) AS version, argMax(s.duration_ms, s.version) AS duration_ms
        FROM (SELECT *, toStartOfHour(message_created_on) AS hour FROM attempt_states) AS s
        WHERE {condition}
        GROUP BY {by}, run, attempt
    """
