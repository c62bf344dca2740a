"""What an overview shows of webhooks' last days: one question for many of an organization's webhooks."""

# Only constants of these modules, numbers and quoted ids are put into statements; values are bound by the server.
# ruff: noqa: S608

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

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
    _days: tuple[Sequence[int], Sequence[int], Sequence[int]]

    @property
    def by_day(self) -> Mapping[date, DayOfMessages]:
        """Days without any are left out."""
        return {
            _EPOCH + timedelta(days=day): DayOfMessages(successful, failed)
            for day, successful, failed in zip(*self._days, strict=True)
        }


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
        rows = await self._clickhouse.query(_days(scope, state), parameters)
        return {
            row["webhook_id"]: RecentDays(row["successful"], row["failed"], (row["days"], row["good"], row["bad"]))
            for row in rows
        }


def _touched(scope: str) -> str:
    return f"touched_hours WHERE {scope} AND {hours.KEPT} AND {hours.NOT_CLOSED_FOR_SURE}"


def _state(scope: str) -> str:
    return f"""
        SELECT groupUniqArray({_MOST_LISTED + 1})((webhook_id, toUnixTimestamp(hour))) AS touched,
            (SELECT count() > 0 FROM retold_messages WHERE {scope}) AS any_retold,
            min(hour) < {hours.ATTEMPTS_KEPT} + INTERVAL 1 HOUR AS old
        FROM {_touched(scope)}
    """


def _days(scope: str, state: Mapping[str, Any]) -> str:
    closed = f"FROM closed_days FINAL ARRAY JOIN %s WHERE {scope} AND day >= toDate(now('UTC') - INTERVAL 13 MONTH)"
    whole_days = f"""
        SELECT webhook_id, toUInt16(ended.on) AS number, ended.successful AS n_successful, ended.failed AS n_failed
        {closed % "ended"} AND last_day >= {{since:Date}}
    """
    messages = []
    if state["touched"]:
        touched = _Touched(scope, state["touched"])
        parts = [
            f"{whole_days} AND day NOT IN {touched.days}",
            f"""
            SELECT webhook_id, toUInt16(by_hour.on), by_hour.successful, by_hour.failed {closed % "by_hour"}
                AND day IN {touched.days} AND {_named("by_hour.hour")} NOT IN {touched.of_webhooks}
            """,
        ]
        within = f"""
            {scope} AND webhook_id IN {touched.webhooks} AND hour IN {touched.hours}
                AND {_named("hour")} IN {touched.of_webhooks}
        """
        messages = [hours.messages(scope, within, by=_MESSAGE, retold=state["any_retold"], old=state["old"])]
    else:
        parts = [whole_days]
    if state["any_retold"]:
        messages.append(hours.retold_messages(scope, by=_MESSAGE))
    if messages:
        parts.append(f"""
            SELECT webhook_id, toUInt16(intDiv({hours.ENDED_AT}, 86400)), {hours.STATUS} = 'successful',
                {hours.STATUS} = 'failed'
            FROM ({" UNION ALL ".join(messages)})
        """)
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
