"""What an overview shows of each webhook's last days: one question for all of an organization's webhooks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from dispatcher.recording.clickhouse import ClickHouse

_DAYS = """
    SELECT webhook_id, toString(day) AS on_day, sum(successful) AS good, sum(failed) AS bad
    FROM success_rate_daily
    WHERE organization_id = {organization_id:String} AND day >= toDate({since:String})
    GROUP BY webhook_id, day
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
            days[date.fromisoformat(row["on_day"])] = DayOfMessages(int(row["good"]), int(row["bad"]))
        return found
