"""What an overview shows of webhooks' last days: one question for many of an organization's webhooks."""

# Only constants of these modules, numbers and quoted ids are put into statements; values are bound by the server.
# ruff: noqa: S608

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain
from typing import Any, NamedTuple, Self

from dispatcher.recording import hours
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.clustering import quoted

_EPOCH = date(1970, 1, 1)

_MESSAGE = "webhook_id, message_id"
_MOST_LISTED = 10_000
"""So many hours are named in a statement; more are asked for within it, which takes longer."""


class DayOfMessages(NamedTuple):
    """How many messages of a day (UTC) ended in which way."""

    successful: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class RecentDays:
    """How a webhook's messages ended since a day."""

    successful: int
    failed: int
    _rows: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> Self:
        """What the rows of a webhook come to together."""
        return cls(sum(row["successful"] for row in rows), sum(row["failed"] for row in rows), rows)

    @property
    def by_day(self) -> Mapping[date, DayOfMessages]:
        """Days without any are left out."""
        found: dict[int, DayOfMessages] = {}
        for row in self._rows:
            for day, successful, failed in zip(row["days"], row["good"], row["bad"], strict=True):
                before = found.get(day, DayOfMessages())
                found[day] = DayOfMessages(before.successful + successful, before.failed + failed)
        return {_EPOCH + timedelta(days=day): messages for day, messages in found.items()}


class RecentDeliveries:
    """Reads about the webhooks of an organization. May raise ClickHouseUnavailable."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def by_webhook(
        self, organization_id: str, since: date, webhook_ids: Collection[str] | None = None
    ) -> Mapping[str, RecentDays]:
        """Webhook id → its messages from ``since`` on; those without any are left out.

        ``webhook_ids`` are those to ask about, None all of the organization; fewer take less time.
        """
        if webhook_ids is not None and not webhook_ids:
            return {}
        parameters = {"organization_id": organization_id, "since": since.isoformat()}
        scope = hours.OF_ORGANIZATION
        if webhook_ids is not None:
            scope += f" AND webhook_id IN {_listed(sorted(webhook_ids))}"
        [state] = await self._clickhouse.query(_state(scope), parameters)
        # Side by side: most of what they take is planning, which one processor does.
        answers = await asyncio.gather(
            *(self._clickhouse.query(_by_day(parts), parameters) for parts in _parts(scope, state))
        )
        found: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in chain.from_iterable(answers):
            found[row["webhook_id"]].append(row)
        return {webhook_id: RecentDays.of(rows) for webhook_id, rows in found.items()}


def _touched(scope: str) -> str:
    return f"touched_hours WHERE {scope} AND {hours.KEPT} AND {hours.NOT_CLOSED_FOR_SURE}"


def _state(scope: str) -> str:
    return f"""
        SELECT groupUniqArray({_MOST_LISTED + 1})((webhook_id, toUnixTimestamp(hour))) AS touched,
            (SELECT count() > 0 FROM retold_messages WHERE {scope}) AS any_retold,
            min(hour) < {hours.ATTEMPTS_KEPT} + INTERVAL 1 HOUR AS old
        FROM {_touched(scope)}
    """


def _parts(scope: str, state: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """What to add up: in one statement the days that have come to rest, in another, if there is any, what has not."""
    closed = f"FROM closed_days FINAL ARRAY JOIN %s WHERE {scope} AND day >= toDate(now('UTC') - INTERVAL 13 MONTH)"
    whole_days = f"""
        SELECT webhook_id, toUInt16(ended.on) AS number, ended.successful AS n_successful, ended.failed AS n_failed
        {closed % "ended"} AND last_day >= {{since:Date}}
    """
    parts, messages = [], []
    if state["touched"]:
        touched = _Touched(scope, state["touched"])
        whole_days += f" AND day NOT IN {touched.days}"
        parts.append(f"""
            SELECT webhook_id, toUInt16(by_hour.on) AS number, by_hour.successful AS n_successful,
                by_hour.failed AS n_failed
            {closed % "by_hour"} AND day IN {touched.days} AND {_named("by_hour.hour")} NOT IN {touched.of_webhooks}
        """)
        within = f"""
            {scope} AND webhook_id IN {touched.webhooks} AND hour IN {touched.hours}
                AND {_named("hour")} IN {touched.of_webhooks}
        """
        messages.append(hours.messages(scope, within, by=_MESSAGE, retold=state["any_retold"], old=state["old"]))
    if state["any_retold"]:
        messages.append(hours.retold_messages(scope, by=_MESSAGE))
    if messages:
        parts.append(f"""
            SELECT webhook_id, toUInt16(intDiv({hours.ENDED_AT}, 86400)) AS number,
                {hours.STATUS} = 'successful' AS n_successful, {hours.STATUS} = 'failed' AS n_failed
            FROM ({" UNION ALL ".join(messages)})
        """)
    yield [whole_days]
    if parts:
        yield parts


def _by_day(parts: Sequence[str]) -> str:
    return f"""
        SELECT webhook_id, sum(of_day_successful) AS successful, sum(of_day_failed) AS failed,
            groupArray(number) AS days, groupArray(of_day_successful) AS good, groupArray(of_day_failed) AS bad
        FROM (
            SELECT webhook_id, number, sum(n_successful) AS of_day_successful, sum(n_failed) AS of_day_failed
            FROM ({" UNION ALL ".join(parts)})
            WHERE number >= toUInt16({{since:Date}})
            GROUP BY webhook_id, number
        )
        GROUP BY webhook_id
    """


class _Touched:
    """Hours that may be open, for IN: by name, or as a question where they are too many.

    An hour of a webhook is one string, and the days are those of all webhooks: to plan a statement with pairs takes the
    engine longer than to look at whatever else these days have.
    """

    def __init__(self, scope: str, touched: Sequence[tuple[str, int]]) -> None:
        if len(touched) > _MOST_LISTED:
            self.of_webhooks = f"(SELECT {_named('hour')} FROM {_touched(scope)})"
            self.webhooks = f"(SELECT webhook_id FROM {_touched(scope)})"
            self.days = f"(SELECT toDate(hour) FROM {_touched(scope)})"
            self.hours = f"(SELECT hour FROM {_touched(scope)})"
        else:
            self.of_webhooks = _listed(f"{webhook_id} {hour}" for webhook_id, hour in touched)
            self.webhooks = _listed({webhook_id for webhook_id, _ in touched})
            self.days = _listed({str(_EPOCH + timedelta(seconds=hour)) for _, hour in touched})
            self.hours = hours.listed({hour for _, hour in touched})


def _named(hour: str) -> str:
    return f"concat(webhook_id, ' ', toString(toUnixTimestamp({hour})))"


def _listed(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(quoted, texts))}]"
