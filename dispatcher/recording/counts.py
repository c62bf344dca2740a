"""A webhook's plots, and what its open hours add to its figures: closed hours from their rows, open ones counted."""

# Only constants of these modules, and numbers, are put into statements; values are bound by the server.
# ruff: noqa: S608

from collections.abc import Mapping
from typing import NamedTuple

from dispatcher.recording import hours
from dispatcher.recording.hours import OF_WEBHOOK, Hours

# What happened is an hour, a kind and a number. An attempt's kind is how many milliseconds it took, or -1.
ENDED: Mapping[str, int] = {"successful": -2, "failed": -3}
"""The kinds of messages of closed hours, which are known by when they ended."""
OPEN: Mapping[str, int] = {"pending": -11, "in_progress": -12, "failed": -13, "successful": -14}
"""The kinds of messages of open hours."""


class Span(NamedTuple):
    """From ``since`` up to ``until``, both in seconds since the epoch, in buckets of ``size`` seconds."""

    since: int
    until: int
    size: int


def counted(state: Hours, span: Span | None = None) -> str:
    """A query for what happened, by the bucket in which it did; outside of the span, and what has not ended, at 0.

    Messages are counted by kind; attempts that were made with the quantiles of how long these took, within 0.8 %.
    Without a span the messages of open hours alone.
    """
    parts = []
    if span:
        parts.append(_closed(state, span))
    if not state.settled:
        parts.append(_open_messages(state))
    if span and not state.settled:
        parts.append(_open_attempts(state, span))
    start = f"if({_within_span(span)}, intDiv(at, {span.size}) * {span.size}, 0)" if span else "0"
    return f"""
        SELECT {start} AS start, sumMapIf([kind], [n], kind < -1) AS messages,
            sumIf(n, kind >= -1) AS attempts, sumIf(n, kind >= 0) AS timed,
            quantilesExactWeightedIf(0.5, 0.95, 0.99)(kind, n, kind >= 0) AS quantiles
        FROM ({" UNION ALL ".join(parts)})
        GROUP BY start
    """


def _within_span(span: Span) -> str:
    return f"at >= {span.since:d} AND at < {span.until:d}"


def _closed(state: Hours, span: Span) -> str:
    besides = f"AND hour NOT IN {hours.listed(state.open)}" if state.open else ""
    return f"""
        SELECT toUnixTimestamp(event.1) AS at, event.2 AS kind, event.3 AS n
        FROM closed_hours FINAL
        ARRAY JOIN arrayConcat(
            arrayMap((hour, n) -> (hour, {ENDED["successful"]}, n), ended.hour, ended.successful),
            arrayMap((hour, n) -> (hour, {ENDED["failed"]}, n), ended.hour, ended.failed),
            arrayZip(made.hour, made.milliseconds, made.attempts)) AS event
        WHERE {OF_WEBHOOK} AND {hours.KEPT} {besides} AND last_hour >= {span.since:d} AND hour < {span.until:d}
            AND {_within_span(span)} AND (kind < -1 OR at >= {state.kept_since:d})
    """


def _open_messages(state: Hours) -> str:
    return f"""
        SELECT {hours.ENDED_AT} AS at, -10 - toInt8({hours.STATUS}) AS kind, 1 AS n
        FROM ({_messages(state)})
    """


def _open_attempts(state: Hours, span: Span) -> str:
    return f"""
        SELECT {hours.MADE_AT} AS at, {hours.MILLISECONDS} AS kind, 1 AS n
        FROM ({_attempts(state)})
        WHERE NOT {hours.WAITS} AND {_within_span(span)} AND at >= {state.kept_since:d}
    """


def _messages(state: Hours) -> str:
    parts = [hours.messages(OF_WEBHOOK, _within(state), retold=state.retold, old=state.old)] if state.open else []
    parts += [hours.retold_messages(OF_WEBHOOK)] if state.retold else []
    return " UNION ALL ".join(parts)


def _attempts(state: Hours) -> str:
    parts = [hours.attempts(OF_WEBHOOK, _within(state), retold=state.retold)] if state.open else []
    parts += [hours.retold_attempts(OF_WEBHOOK)] if state.retold else []
    return " UNION ALL ".join(parts)


def _within(state: Hours) -> str:
    return f"{OF_WEBHOOK} AND hour IN {hours.listed(state.open)}"
