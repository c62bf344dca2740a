"""A webhook's six figures and its plots: closed hours from their rows, open ones counted."""

# Only constants of these modules are put into statements; values are bound by the server.
# ruff: noqa: S608

from typing import Final

from dispatcher.recording import hours

_OF_WEBHOOK = "organization_id = {organization_id:String} AND webhook_id = {webhook_id:String}"

_OPEN = f"WITH open AS ({hours.open_hours(_OF_WEBHOOK)})"
_CLOSED = f"{_OF_WEBHOOK} AND {hours.KEPT} AND hour NOT IN open"


def _in_open(hour: str) -> str:
    return f"{_OF_WEBHOOK} AND {hour} IN open"


_MESSAGES = f"""
    SELECT {hours.OF_MESSAGE}
    FROM ({hours.messages(_OF_WEBHOOK, _in_open)} UNION ALL {hours.retold_messages(_OF_WEBHOOK)})
"""
_ATTEMPTS = f"""
    SELECT {hours.OF_ATTEMPT}
    FROM ({hours.attempts(_OF_WEBHOOK, _in_open)} UNION ALL {hours.retold_attempts(_OF_WEBHOOK)})
"""

METRICS: Final = f"""
    {_OPEN}
    SELECT sum(n_successful) AS successful, sum(n_pending) AS pending, sum(n_in_progress) AS in_progress,
        sum(n_failed) AS failed
    FROM (
        SELECT sum(successful) AS n_successful, sum(pending) AS n_pending, sum(in_progress) AS n_in_progress,
            sum(failed) AS n_failed
        FROM closed_hours FINAL WHERE {_CLOSED}
        UNION ALL
        SELECT countIf(status = 'successful'), countIf(status = 'pending'), countIf(status = 'in_progress'),
            countIf(status = 'failed')
        FROM ({_MESSAGES})
    )
"""
"""Messages by status."""

# Seconds since the epoch; both are whole buckets.
_IN_SPAN = "happened_in >= toDateTime({since:UInt32}, 'UTC') AND happened_in < toDateTime({until:UInt32}, 'UTC')"
_MAY_BE_IN_SPAN = "last_hour >= toDateTime({since:UInt32}, 'UTC') AND hour < toDateTime({until:UInt32}, 'UTC')"
_START_MS = "intDiv(toUnixTimestamp(happened_in), {size:UInt32}) * {size:UInt32} * 1000 AS start_ms"

ENDED: Final = f"""
    {_OPEN}
    SELECT {_START_MS}, sum(n_successful) AS successful, sum(n_failed) AS failed
    FROM (
        SELECT ended.hour AS happened_in, ended.successful AS n_successful, ended.failed AS n_failed
        FROM closed_hours FINAL ARRAY JOIN ended WHERE {_CLOSED} AND {_MAY_BE_IN_SPAN}
        UNION ALL
        SELECT assumeNotNull(ended_in), countIf(status = 'successful'), countIf(status = 'failed')
        FROM ({_MESSAGES}) WHERE ended_in IS NOT NULL GROUP BY ended_in
    )
    WHERE {_IN_SPAN}
    GROUP BY start_ms
"""
"""Messages that ended, by bucket."""

MADE: Final = f"""
    {_OPEN}
    SELECT {_START_MS}, sum(n) AS attempts, sumIf(n, took >= 0) AS timed,
        quantilesExactWeightedIf(0.5, 0.95, 0.99)(took, n, took >= 0) AS quantiles
    FROM (
        SELECT happened_in, took, sum(n_attempts) AS n
        FROM (
            SELECT made.hour AS happened_in, made.milliseconds AS took, made.attempts AS n_attempts
            FROM closed_hours FINAL ARRAY JOIN made WHERE {_CLOSED} AND {_MAY_BE_IN_SPAN}
            UNION ALL
            SELECT made_in, milliseconds, count() FROM ({_ATTEMPTS}) WHERE NOT waits GROUP BY made_in, milliseconds
        )
        WHERE {_IN_SPAN} AND happened_in >= {hours.ATTEMPTS_KEPT}
        GROUP BY happened_in, took
    )
    GROUP BY start_ms
"""
"""Attempts that were made, by bucket, and the quantiles of how long they took, within 0.8 %."""
