"""A webhook's six figures and its plots: closed hours from their rows, open ones counted."""

# Only constants of these modules, and numbers, are put into statements; values are bound by the server.
# ruff: noqa: S608

from dispatcher.recording import hours
from dispatcher.recording.hours import OF_WEBHOOK, Hours

# Seconds since the epoch; both are whole buckets.
_IN_SPAN = "happened_in >= toDateTime({since:UInt32}, 'UTC') AND happened_in < toDateTime({until:UInt32}, 'UTC')"
_MAY_BE_IN_SPAN = "last_hour >= toDateTime({since:UInt32}, 'UTC') AND hour < toDateTime({until:UInt32}, 'UTC')"
_START_MS = "intDiv(toUnixTimestamp(happened_in), {size:UInt32}) * {size:UInt32} * 1000 AS start_ms"


def metrics(state: Hours) -> str:
    """A query for the messages by status."""
    return f"""
        SELECT sum(n_successful) AS successful, sum(n_pending) AS pending, sum(n_in_progress) AS in_progress,
            sum(n_failed) AS failed
        FROM (
            SELECT sum(successful) AS n_successful, sum(pending) AS n_pending, sum(in_progress) AS n_in_progress,
                sum(failed) AS n_failed
            FROM closed_hours FINAL WHERE {_closed(state)}
            UNION ALL
            SELECT countIf(status = 'successful'), countIf(status = 'pending'), countIf(status = 'in_progress'),
                countIf(status = 'failed')
            FROM ({_open_messages(state)})
        )
    """


def ended(state: Hours) -> str:
    """A query for the messages that ended, by bucket."""
    return f"""
        SELECT {_START_MS}, sum(n_successful) AS successful, sum(n_failed) AS failed
        FROM (
            SELECT ended.hour AS happened_in, ended.successful AS n_successful, ended.failed AS n_failed
            FROM closed_hours FINAL ARRAY JOIN ended WHERE {_closed(state)} AND {_MAY_BE_IN_SPAN}
            UNION ALL
            SELECT assumeNotNull(ended_in), countIf(status = 'successful'), countIf(status = 'failed')
            FROM ({_open_messages(state)}) WHERE ended_in IS NOT NULL GROUP BY ended_in
        )
        WHERE {_IN_SPAN}
        GROUP BY start_ms
    """


def made(state: Hours) -> str:
    """A query for the attempts that were made, by bucket, and the quantiles of how long they took, within 0.8 %."""
    return f"""
        SELECT {_START_MS}, sum(n) AS attempts, sumIf(n, took >= 0) AS timed,
            quantilesExactWeightedIf(0.5, 0.95, 0.99)(took, n, took >= 0) AS quantiles
        FROM (
            SELECT made.hour AS happened_in, made.milliseconds AS took, made.attempts AS n
            FROM closed_hours FINAL ARRAY JOIN made WHERE {_closed(state)} AND {_MAY_BE_IN_SPAN}
            UNION ALL
            SELECT made_in, milliseconds, count() FROM ({_open_attempts(state)})
            WHERE NOT waits GROUP BY made_in, milliseconds
        )
        WHERE {_IN_SPAN} AND happened_in >= {hours.ATTEMPTS_KEPT}
        GROUP BY start_ms
    """


def _closed(state: Hours) -> str:
    besides = f" AND hour NOT IN {hours.listed(state.open)}" if state.open else ""
    return f"{OF_WEBHOOK} AND {hours.KEPT}{besides}"


def _open_messages(state: Hours) -> str:
    counted = hours.messages(OF_WEBHOOK, _within(state), retold=state.retold)
    besides = f" UNION ALL {hours.retold_messages(OF_WEBHOOK)}" if state.retold else ""
    return f"SELECT {hours.OF_MESSAGE} FROM ({counted}{besides})"


def _open_attempts(state: Hours) -> str:
    counted = hours.attempts(OF_WEBHOOK, _within(state), retold=state.retold)
    besides = f" UNION ALL {hours.retold_attempts(OF_WEBHOOK)}" if state.retold else ""
    return f"SELECT {hours.OF_ATTEMPT} FROM ({counted}{besides})"


def _within(state: Hours) -> hours.Within:
    listed = hours.listed(state.open)
    return lambda hour: f"{OF_WEBHOOK} AND {hour} IN {listed}" if state.open else "0"
