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
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from dispatcher.recording.clickhouse import ClickHouse

Within = Callable[[str], str]
"""Makes, of an expression for a row's hour, a condition that the row is of some hours of some webhooks."""

KEPT: Final = "hour >= toStartOfHour(now('UTC') - INTERVAL 13 MONTH)"
"""Which hours count."""

ATTEMPTS_KEPT: Final = "toStartOfHour(now('UTC') - INTERVAL 28 DAY)"
"""The first hour whose attempts count."""

SETTLED_SECONDS: Final = 60
"""How long ago an insert must have begun for its rows to be there: longer than one may take."""

_NEVER = "toDateTime64(0, 3, 'UTC')"

OF_MESSAGE: Final = """
    toString(tupleElement(state, 'status')) AS status,
    if(status IN ('successful', 'failed'), toStartOfHour(tupleElement(state, 'finished_on')), NULL) AS ended_in
"""
"""What counts of a message of ``messages``. One that has not ended did so in no hour."""

# Seven significant bits: durations that differ by less than 0.8 % are one, so that quantiles of many hours follow from
# some hundred numbers, and are the same whichever hours are closed.
OF_ATTEMPT: Final = """
    bitShiftRight(version, 48) AS rank,
    bitAnd(version, 281474976710655) AS at_ms,
    rank IN (1, 2) AS waits,
    toStartOfHour(fromUnixTimestamp64Milli(toInt64(at_ms), 'UTC')) AS made_in,
    toUInt8(greatest(log2(greatest(ifNull(duration_ms, 0), 1)), 7) - 6) AS bits,
    if(duration_ms IS NULL, -1, if(duration_ms < 128, toInt32(duration_ms),
        toInt32(bitShiftLeft(bitShiftRight(assumeNotNull(duration_ms), bits), bits) + bitShiftLeft(1, bits - 1))))
        AS milliseconds
"""
"""What counts of an attempt of ``attempts``; -1 milliseconds: it called nobody."""


OF_WEBHOOK: Final = "organization_id = {organization_id:String} AND webhook_id = {webhook_id:String}"

_STATE = f"""
    SELECT toUnixTimestamp(hour) AS at, max(touched_on) >= max(counted_on) AS is_open,
        argMax(waits, counted_on) AS waiting, max(told) AS retold
    FROM (
        SELECT hour, touched_on, {_NEVER} AS counted_on, 0 AS waits, 0 AS told
        FROM touched_hours WHERE {OF_WEBHOOK} AND {KEPT}
        UNION ALL
        SELECT hour, {_NEVER}, as_of, waiting, 0 FROM closed_hours WHERE {OF_WEBHOOK} AND {KEPT}
        UNION ALL
        SELECT hour, {_NEVER}, {_NEVER}, 0, 1 FROM retold_messages WHERE {OF_WEBHOOK}
    )
    GROUP BY hour HAVING is_open OR waiting > 0 OR retold
"""


OF_ORGANIZATION: Final = "organization_id = {organization_id:String}"

CLOSED: Final = "closed"
"""The name among ``looks`` of the moment up to which every hour that was touched has been counted since."""

_TOUCHED_SINCE = f"""
    touched_hours WHERE {OF_ORGANIZATION} AND {KEPT}
    AND touched_on >= (SELECT max(until) FROM looks WHERE name = '{CLOSED}')
"""

OPEN_OF_ORGANIZATION: Final = f"""
    SELECT webhook_id, hour FROM (
        SELECT webhook_id, hour, touched_on, {_NEVER} AS counted_on FROM {_TOUCHED_SINCE}
        UNION ALL
        SELECT webhook_id, hour, {_NEVER}, as_of FROM closed_hours
        WHERE {OF_ORGANIZATION} AND {KEPT} AND (webhook_id, hour) IN (SELECT webhook_id, hour FROM {_TOUCHED_SINCE})
    )
    GROUP BY webhook_id, hour HAVING max(touched_on) >= max(counted_on)
"""
"""The open hours of all webhooks of an organization."""


@dataclass(frozen=True, slots=True)
class Hours:
    """Which of a webhook's hours have to be looked into."""

    open: tuple[int, ...]
    """Those to be counted from rows; the starts in seconds since the epoch, as of the others."""
    waiting: tuple[int, ...]
    """Those that may have attempts that have not ended."""
    retold: bool
    """Whether any message was told of in several."""


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
    rows = await clickhouse.query(_STATE, {"organization_id": organization_id, "webhook_id": webhook_id})
    return Hours(
        tuple(row["at"] for row in rows if row["is_open"]),
        tuple(row["at"] for row in rows),
        any(row["retold"] for row in rows),
    )


def listed(hours: Iterable[int]) -> str:
    """Hours as something that IN takes: in the statement's text, since parameters travel in a URL, which is bounded."""
    return f"[{','.join(str(int(hour)) for hour in hours)}]"


def messages(scope: str, within: Within, *, by_hour: bool = False, retold: bool = True) -> str:
    """A query for the messages of some hours, within the condition ``scope``.

    Rows that were not merged yet are one message, and with ``by_hour`` one in each hour that names it. Those that are
    known to be told of in several hours are left out; without ``retold`` there are none.
    """
    return _messages(
        f"""
        SELECT {_MESSAGE}, hour FROM messages_by_hour
        WHERE {within("hour")} AND hour >= {ATTEMPTS_KEPT} {_but_retold(scope, retold)}
        UNION ALL
        SELECT {_MESSAGE}, toStartOfHour(created_on) AS hour FROM message_states
        WHERE {within("toStartOfHour(created_on)")} AND created_on < {ATTEMPTS_KEPT} {_but_retold(scope, retold)}
        """,
        ", hour" if by_hour else "",
    )


def retold_messages(scope: str) -> str:
    """A query for the messages that were told of in several hours, of whichever hours."""
    return _messages(f"SELECT {_MESSAGE} FROM message_states WHERE {scope} AND {_retold(scope)} AND {_CREATED_KEPT}")


def attempts(scope: str, within: Within, *, by_hour: bool = False, retold: bool = True) -> str:
    """A query for the attempts at the messages of some hours, as ``messages`` has them."""
    return _attempts(
        f"{within('toStartOfHour(message_created_on)')} {_but_retold(scope, retold)}",
        ", toStartOfHour(message_created_on) AS hour" if by_hour else "",
    )


def retold_attempts(scope: str) -> str:
    """A query for the attempts at the messages that were told of in several hours."""
    return _attempts(f"{scope} AND {_retold(scope)}")


_MESSAGE = "organization_id, webhook_id, message_id, toString(event_type) AS event_type, state"
_KEY = "(organization_id, webhook_id, message_id)"
_CREATED_KEPT = "created_on >= toStartOfHour(now('UTC') - INTERVAL 13 MONTH)"


def _retold(scope: str) -> str:
    return f"{_KEY} IN (SELECT organization_id, webhook_id, message_id FROM retold_messages WHERE {scope})"


def _but_retold(scope: str, retold: bool) -> str:
    return f" AND NOT {_retold(scope)}" if retold else ""


def _messages(rows: str, hour: str = "") -> str:
    return f"""
        SELECT organization_id, webhook_id, message_id{hour}, max(event_type) AS event_type, max(state) AS state
        FROM ({rows})
        GROUP BY organization_id, webhook_id, message_id{hour}
    """


def _attempts(condition: str, hour: str = "") -> str:
    return f"""
        SELECT organization_id, webhook_id, message_id, run, attempt{hour},
            max(s.version) AS version, argMax(s.duration_ms, s.version) AS duration_ms
        FROM attempt_states AS s
        WHERE {condition}
        GROUP BY organization_id, webhook_id, message_id, run, attempt{", hour" if hour else ""}
    """
