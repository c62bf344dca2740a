"""Messages that were told of in more than one hour: the same event, published or matched again later.

To be found, all ids that a webhook ever had are read, so it is looked for now and then only. What is repeated within
minutes is counted once all along: its hours are open, and open hours are counted together.
"""

# Only constants of this module are put into statements; values are bound by the server.
# ruff: noqa: S608

import math
from datetime import timedelta
from typing import Final

from dispatcher.recording.clickhouse import ClickHouse

EVERY: Final = timedelta(minutes=10)

_AT_ONCE = 500_000
# An insert may begin so long before its rows are there.
_OVERLAP_SECONDS = 120

_LAST_LOOK = """
    WITH (SELECT max(until) FROM looks WHERE name = 'retold') AS last
    SELECT toUnixTimestamp(now()) AS now, toUnixTimestamp(last) AS looked,
        (SELECT count() FROM messages_by_hour WHERE first_seen >= last) AS messages
"""

_NEW = """
    SELECT organization_id, webhook_id, message_id FROM messages_by_hour
    WHERE first_seen >= toDateTime({since:UInt32}, 'UTC') AND cityHash64(message_id) % {parts:UInt32} = {part:UInt32}
"""

# A merge leaves the earliest hour alone in message_states; the later ones stay in messages_by_hour.
_FIND = f"""
    INSERT INTO retold_messages (organization_id, webhook_id, message_id, hour)
    SELECT organization_id, webhook_id, message_id, hour FROM (
        SELECT organization_id, webhook_id, message_id, groupUniqArray(told_in) AS hours
        FROM (
            SELECT organization_id, webhook_id, message_id, toStartOfHour(created_on) AS told_in FROM message_states
            WHERE (organization_id, webhook_id, message_id) IN ({_NEW})
            UNION ALL
            SELECT organization_id, webhook_id, message_id, hour FROM messages_by_hour
            WHERE (organization_id, webhook_id, message_id) IN ({_NEW})
        )
        GROUP BY organization_id, webhook_id, message_id
        HAVING length(hours) > 1
    )
    ARRAY JOIN hours AS hour
    WHERE (organization_id, webhook_id, message_id, hour) NOT IN
        (SELECT organization_id, webhook_id, message_id, hour FROM retold_messages)
    SETTINGS max_threads = 1
"""

_LOOKED = "INSERT INTO looks (name, until) SELECT 'retold', toDateTime({until:UInt32}, 'UTC')"


async def find_retold(clickhouse: ClickHouse, every: timedelta = EVERY) -> bool:
    """Look through what came since the last look of any recorder; whether it was long enough ago to do so.

    Raises:
        ClickHouseUnavailable: it does not answer, or not in time.
        QueryFailed: it refuses, or there is no schema yet.
    """
    [row] = await clickhouse.query(_LAST_LOOK)
    if row["now"] - row["looked"] < every.total_seconds():
        return False
    since = max(row["looked"] - _OVERLAP_SECONDS, 0)
    parts = max(1, math.ceil(row["messages"] / _AT_ONCE))
    for part in range(parts):
        await clickhouse.maintain(_FIND, {"since": since, "parts": parts, "part": part})
    await clickhouse.maintain(_LOOKED, {"until": row["now"]})
    return True
