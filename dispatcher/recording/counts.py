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
    closed = f"""
        SELECT sum(successful) AS n_successful, sum(pending) AS n_pending, sum(in_progress) AS n_in_progress,
            sum(failed) AS n_failed
        FROM closed_hours FINAL WHERE {_closed(state)}
    """
    counted = f"""
        SELECT countIf(status = 'successful'), countIf(status = 'pending'), countIf(status = 'in_progress'),
            countIf(status = 'failed')
        FROM ({_open_messages(state)})
    """
    return f"""
        SELECT sum(n_successful) AS successful, sum(n_pending) AS pending, sum(n_in_progress) AS in_progress,
            sum(n_failed) AS failed
        FROM ({_both(state, closed, counted)})
    """


def ended(state: Hours) -> str:
    """A query for the messages that ended, by bucket."""
    closed = f"""
        SELECT in_hour AS happened_in, good AS n_successful, bad AS n_failed
        FROM closed_hours FINAL
        ARRAY JOIN ended.hour AS in_hour, ended.successful AS good, ended.failed AS bad
        WHERE {_closed(state)} AND {_MAY_BE_IN_SPAN}
    """
    counted = f"""
        SELECT assumeNotNull(ended_in), countIf(status = 'successful'), countIf(status = 'failed')
        FROM ({_open_messages(state)}) WHERE ended_in IS NOT NULL GROUP BY ended_in
    """
    return f"""
        SELECT {_START_MS}, sum(n_successful) AS successful, sum(n_failed) AS failed
        FROM ({_both(state, closed, counted)})
        WHERE {_IN_SPAN}
        GROUP BY start_ms
    """


def made(state: Hours) -> str:
    """A query for the attempts that were made, by bucket, and the quantiles of how long they took, within 0.8 %."""
    closed = f"""
        SELECT in_hour AS happened_in, duration AS took, many AS n
        FROM closed_hours FINAL
        ARRAY JOIN made.hour AS in_hour, made.milliseconds AS duration, made.attempts AS many
        WHERE {_closed(state)} AND {_MAY_BE_IN_SPAN}
    """
    counted = f"""
        SELECT made_in, milliseconds, count() FROM ({_open_attempts(state)})
        WHERE NOT waits GROUP BY made_in, milliseconds
    """
    return f"""
        SELECT {_START_MS}, sum(n) AS attempts, sumIf(n, took >= 0) AS timed,
            quantilesExactWeightedIf(0.5, 0.95, 0.99)(took, n, took >= 0) AS quantiles
        FROM ({_both(state, closed, counted)})
        WHERE {_IN_SPAN} AND happened_in >= {hours.ATTEMPTS_KEPT}
        GROUP BY start_ms
    """


def _both(state: Hours, closed: str, counted: str) -> str:
    # To analyse the half that counts nothing takes the engine as long as to read the other.
    return f"{closed} UNION ALL {counted}" if state.open or state.retold else closed


def _closed(state: Hours) -> str:
    besides = f" AND hour NOT IN {hours.listed(state.open)}" if state.open else ""
    return f"{OF_WEBHOOK} AND {hours.KEPT}{besides}"


def _open_messages(state: Hours) -> str:
    parts = [hours.messages(OF_WEBHOOK, _within(state), retold=state.retold)] if state.open else []
    parts += [hours.retold_messages(OF_WEBHOOK)] if state.retold else []
    return f"SELECT {hours.OF_MESSAGE} FROM ({' UNION ALL '.join(parts)})"


def _open_attempts(state: Hours) -> str:
    parts = [hours.attempts(OF_WEBHOOK, _within(state), retold=state.retold)] if state.open else []
    parts += [hours.retold_attempts(OF_WEBHOOK)] if state.retold else []
    return f"SELECT {hours.OF_ATTEMPT} FROM ({' UNION ALL '.join(parts)})"


def _within(state: Hours) -> hours.Within:
    listed = hours.listed(state.open)
    return lambda hour: f"{OF_WEBHOOK} AND {hour} IN {listed}"
