"""What was recorded of webhooks that fail all the time."""

from collections.abc import Collection
from datetime import datetime, timedelta

from dispatcher.moments import EPOCH, milliseconds
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.webhooks.failing import HourOfAttempts

# An attempt without a duration called nobody: its failure is none of the target's.
_CALLS = """
    status IN ('successful', 'failed') AND duration_ms IS NOT NULL
    AND executed_on >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
"""

# Every webhook's rows of a while are read for this, so they are read as they lie: a row that has not been merged yet
# counts twice here, and what is written down about a webhook is counted anew.
_WITHOUT_SUCCESS = f"""
    SELECT webhook_id FROM attempt_states
    WHERE {_CALLS} AND message_created_on >= fromUnixTimestamp64Milli({{created_since:Int64}}, 'UTC')
    GROUP BY webhook_id HAVING countIf(status = 'successful') = 0
"""  # noqa: S608

_HOURS = f"""
    SELECT intDiv(toUnixTimestamp64Milli(assumeNotNull(executed_on)), 3600000) AS hour,
        countIf(status = 'successful') AS successful, countIf(status = 'failed') AS failed,
        argMaxIf(error, executed_on, status = 'failed') AS last_error
    FROM attempt_states FINAL
    WHERE organization_id = {{organization_id:String}} AND webhook_id = {{webhook_id:String}} AND {_CALLS}
    GROUP BY hour ORDER BY hour
"""  # noqa: S608


async def webhooks_without_success(clickhouse: ClickHouse, since: datetime, created_since: datetime) -> Collection[str]:
    """The ids of the webhooks that were called since a moment, and never with success.

    Messages from before ``created_since`` are left out, which spares reading what lies further back.

    Raises:
        ClickHouseUnavailable: nothing answers.
        QueryFailed: there is no schema yet.
    """
    parameters = {"since": milliseconds(since), "created_since": milliseconds(created_since)}
    return {row["webhook_id"] for row in await clickhouse.query(_WITHOUT_SUCCESS, parameters)}


async def hours_of_attempts(
    clickhouse: ClickHouse, organization_id: str, webhook_id: str, since: datetime
) -> list[HourOfAttempts]:
    """How the calls of a webhook's target ended, for each hour since one in which there were any.

    Raises:
        ClickHouseUnavailable: nothing answers.
        QueryFailed: there is no schema yet.
    """
    parameters = {"organization_id": organization_id, "webhook_id": webhook_id, "since": milliseconds(since)}
    return [
        HourOfAttempts(EPOCH + timedelta(hours=row["hour"]), row["successful"], row["failed"], row["last_error"])
        for row in await clickhouse.query(_HOURS, parameters)
    ]
