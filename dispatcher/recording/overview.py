"""What an overview shows of each webhook's last days: one question for all of an organization's webhooks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from dispatcher.recording import hours
from dispatcher.recording.clickhouse import ClickHouse

# Only constants of these modules are put into statements; values are bound by the server.
# ruff: noqa: S608


_EPOCH = date(1970, 1, 1)


def _in_open(hour: str) -> str:
    return f"{hours.OF_ORGANIZATION} AND (webhook_id, {hour}) IN open"


_SINCE = "toDateTime({since:String} || ' 00:00:00', 'UTC')"

_DAYS = f"""
    WITH open AS ({hours.OPEN_OF_ORGANIZATION})
    SELECT webhook_id, toUInt16(toDate(ended_on)) AS on_day, sum(n_good) AS good, sum(n_bad) AS bad
    FROM (
        SELECT webhook_id, ended.hour AS ended_on, ended.successful AS n_good, ended.failed AS n_bad
        FROM closed_hours FINAL ARRAY JOIN ended
        WHERE {hours.OF_ORGANIZATION} AND {hours.KEPT} AND last_hour >= {_SINCE} AND (webhook_id, hour) NOT IN open
        UNION ALL
        SELECT webhook_id, assumeNotNull(ended_in), countIf(status = 'successful'), countIf(status = 'failed')
        FROM (
            SELECT webhook_id, {hours.OF_MESSAGE}
            FROM ({hours.messages(hours.OF_ORGANIZATION, _in_open)}
                UNION ALL {hours.retold_messages(hours.OF_ORGANIZATION)})
        )
        WHERE ended_in IS NOT NULL
        GROUP BY webhook_id, ended_in
    )
    WHERE ended_on >= {_SINCE}
    GROUP BY webhook_id, on_day
"""


@dataclass(frozen=True, slots=True)
class DayOfMessages:
    """How many messages of a day (UTC) ended in which way."""

    successful: int = 0
    failed: int = 0


class RecentDeliveries:
    """Reads about all webhooks of an organization. May raise ClickHouseUnavailable."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def by_webhook(self, organization_id: str, since: date) -> Mapping[str, Mapping[date, DayOfMessages]]:
        """Webhook id → day → messages, from ``since`` on; days without any are left out."""
        rows = await self._clickhouse.query(_DAYS, {"organization_id": organization_id, "since": since.isoformat()})
        found: dict[str, dict[date, DayOfMessages]] = {}
        for row in rows:
            days = found.setdefault(row["webhook_id"], {})
            days[_EPOCH + timedelta(days=row["on_day"])] = DayOfMessages(int(row["good"]), int(row["bad"]))
        return found
