"""Messages that were told of in more than one hour: the same event, published or matched again later.

Each id that came is looked up among all that are kept, so it is looked for now and then only. What is repeated within
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

_KEY_HASH = "cityHash64(organization_id, webhook_id, message_id)"

_NEW = f"""
    messages_by_hour
    WHERE first_seen >= toDateTime({{since:UInt32}}, 'UTC') AND {_KEY_HASH} % {{parts:UInt32}} = {{part:UInt32}}
"""

# Should two keys have one hash, both are taken for told of in several hours, and counted rightly by themselves.
_FIND = f"""
    INSERT INTO retold_messages (organization_id, webhook_id, message_id, hour)
    SELECT key.1, key.2, key.3, hour FROM (
        SELECT groupUniqArray(told_in) AS hours,
            groupUniqArrayIf((organization_id, webhook_id, message_id), message_id != '') AS keys
        FROM (
            SELECT key_hash, hour AS told_in, '' AS organization_id, '' AS webhook_id, '' AS message_id
            FROM message_hours WHERE key_hash IN (SELECT {_KEY_HASH} FROM {_NEW})
            UNION ALL
            SELECT {_KEY_HASH} AS key_hash, hour, organization_id, webhook_id, message_id FROM {_NEW}
        )
        GROUP BY key_hash
        HAVING length(hours) > 1
    )
    ARRAY JOIN keys AS key
    ARRAY JOIN hours AS hour
    WHERE (key.1, key.2, key.3, hour) NOT IN
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
