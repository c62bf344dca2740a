"""deploy/grafana/dashboard.json: ``python -m tools.dashboard`` writes it; a test fails when it says something else.

Queries are put together from the metrics' own definitions, so that none can be misspelt.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from dispatcher.delivery.conclusion import DELETED, DISABLED
from dispatcher.delivery.failures import TOO_LARGE
from dispatcher.observability import metrics

FILE = Path(__file__).resolve().parent.parent / "deploy" / "grafana" / "dashboard.json"

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT, _STAT_HEIGHT = 24, 8, 4
_RATE = "$__rate_interval"

Metric = Counter | Gauge | Histogram


def name(metric: Metric, suffix: str = "") -> str:
    """The name that Prometheus has, of a counter with its ``_total``; ``suffix`` is one of a histogram's."""
    family = next(iter(metric.describe()))
    return f"{family.name}{'_total' if family.type == 'counter' else suffix}"


@dataclass(frozen=True, slots=True)
class Query:
    """A line of a panel, and what its legend says."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot, or one number where ``stat``."""

    title: str
    about: str
    queries: Sequence[Query]
    unit: str = "short"
    stat: bool = False
    stacked: bool = False
    highest: float | None = None


def rate(metric: Metric, by: str = "", where: str = "", suffix: str = "") -> str:
    """How often a second, of all processes together."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({name(metric, suffix)}{_with_instances(where)}[{_RATE}]))"


def quantile(share: float, histogram: Histogram, by: str = "") -> str:
    """A quantile over all processes."""
    return f"histogram_quantile({share}, {rate(histogram, f'le, {by}' if by else 'le', suffix='_bucket')})"


def now(metric: Metric, by: str = "", where: str = "") -> str:
    """What all processes have together."""
    return f"sum{f' by ({by})' if by else ''} ({name(metric)}{_with_instances(where)})"


def cluster(metric: Metric, by: str, where: str = "") -> str:
    """What portals, each of them, say of the cluster."""
    return f"max by ({by}) ({name(metric)}{f'{{{where}}}' if where else ''})"


def _with_instances(where: str) -> str:
    return f'{{instance=~"$instance"{", " if where else ""}{where}}}'


def _quantiles(histogram: Histogram) -> list[Query]:
    return [Query(quantile(share, histogram), f"p{share * 100:g}") for share in (0.5, 0.95, 0.99)]


WITHOUT_A_CALL = (DISABLED.reason, DELETED.reason, TOO_LARGE)
"""Reasons of attempts that call nobody by design: they say nothing about how many calls succeed."""

_CALLED = f'reason!~"{"|".join(WITHOUT_A_CALL)}"'
_SUCCESSFUL = rate(metrics.ATTEMPTS, where='status="successful"')
_SUCCESS = f"{_SUCCESSFUL} / {rate(metrics.ATTEMPTS, where=_CALLED)}"

ROWS: dict[str, Sequence[Panel]] = {
    "At a glance": (
        Panel("Attempts", "Attempts that ended", [Query(rate(metrics.ATTEMPTS), "")], "reqps", stat=True),
        Panel(
            "Success rate",
            "Share of attempts that succeeded; what calls nobody, as of a disabled webhook, is left out",
            [Query(_SUCCESS, "")],
            "percentunit",
            stat=True,
            highest=1,
        ),
        Panel(
            "Oldest waiting",
            "The record that has waited longest for any group; in retry topics, since it was due",
            [Query(f"max ({name(metrics.GROUP_OLDEST_SECONDS)})", "")],
            "s",
            stat=True,
        ),
        Panel("In flight", "Attempts under way", [Query(now(metrics.IN_FLIGHT), "")], stat=True),
        Panel(
            "Dead letters",
            "Records that could not be understood, in the last day",
            [Query(f"sum (increase({name(metrics.DEAD_LETTERS)}[1d]))", "")],
            stat=True,
        ),
        Panel(
            "Not ready",
            "Roles that are starting",
            [Query(f"sum (1 - {name(metrics.READY)})", "")],
            stat=True,
        ),
    ),
    "Matching": (
        Panel(
            "Events",
            "Events that matchers have read, by type",
            [Query(rate(metrics.EVENTS, "event_type"), "{{event_type}}")],
            "reqps",
            stacked=True,
        ),
        Panel(
            "Messages",
            "What events were matched to: one for each webhook, and each device",
            [Query(rate(metrics.MESSAGES, "event_type"), "{{event_type}}")],
            "reqps",
            stacked=True,
        ),
    ),
    "Delivery": (
        Panel(
            "Attempts by outcome",
            "Attempts that ended",
            [Query(rate(metrics.ATTEMPTS, "status"), "{{status}}")],
            "reqps",
            stacked=True,
        ),
        Panel(
            "Failures by reason",
            "Failed attempts; docs/querying.md finds out whose",
            [Query(rate(metrics.ATTEMPTS, "reason", 'status="failed"'), "{{reason}}")],
            "reqps",
            stacked=True,
        ),
        Panel("Duration of an attempt", "From connecting to the last byte", _quantiles(metrics.ATTEMPT_SECONDS), "s"),
        Panel(
            "Given up",
            "Messages that failed for good",
            [Query(rate(metrics.MESSAGES_GIVEN_UP, "reason"), "{{reason}}")],
            "reqps",
            stacked=True,
        ),
        Panel(
            "Held by senders",
            "Attempts under way, and those that wait for their turn",
            [Query(now(metrics.IN_FLIGHT), "in flight"), Query(now(metrics.WAITING), "waiting")],
        ),
        Panel(
            "Targets by speed",
            "Webhooks that were called within a minute; slow: a call takes longer than a second",
            [Query(now(metrics.LANES, "speed"), "{{speed}}")],
            stacked=True,
        ),
        Panel(
            "Set aside and skipped",
            "Attempts moved to webhooks.parked; deliveries whose attempt had been made",
            [Query(rate(metrics.PARKED), "parked"), Query(rate(metrics.DUPLICATES), "skipped")],
            "reqps",
        ),
    ),
    "Retries": (
        Panel(
            "Waiting",
            "Attempts that are not due yet, by retry topic",
            [Query(cluster(metrics.RETRIES_WAITING, "delay"), "{{delay}}")],
            stacked=True,
        ),
        Panel(
            "Overdue by",
            "For how long the oldest attempt that came due has not been handed over",
            [Query(cluster(metrics.RETRIES_OVERDUE_SECONDS, "delay"), "{{delay}}")],
            "s",
        ),
        Panel(
            "Overdue",
            "Attempts that came due and have not been handed over",
            [Query(cluster(metrics.RETRIES_OVERDUE, "delay"), "{{delay}}")],
            stacked=True,
        ),
        Panel(
            "Handed over",
            "Attempts that came due",
            [Query(rate(metrics.RETRIES_RELAYED, "delay"), "{{delay}}")],
            "reqps",
            stacked=True,
        ),
        Panel("Lateness", "How late attempts were handed over", _quantiles(metrics.RETRY_LATENESS_SECONDS), "s"),
    ),
    "Recording": (
        Panel(
            "Records inserted",
            "Into ClickHouse, by the topic that they came from",
            [Query(rate(metrics.ROWS_RECORDED, "topic"), "{{topic}}")],
            "reqps",
            stacked=True,
        ),
        Panel("Duration of an insert", "As the recorder sees it", _quantiles(metrics.RECORDER_INSERT_SECONDS), "s"),
        Panel(
            "Inserts that failed",
            "They are made again until they succeed",
            [Query(rate(metrics.RECORDER_INSERT_FAILURES, "reason"), "{{reason}}")],
            "reqps",
        ),
        Panel(
            "Hours closed",
            "How long ago all hours that had come to rest were counted, which is each minute",
            [Query(f"time() - (max({name(metrics.HOURS_CLOSED)}) > 0)", "ago")],
            "s",
        ),
    ),
    "Portal": (
        Panel(
            "Answers",
            "Of the API and the pages, by the class of their status",
            [Query(rate(metrics.HTTP_RESPONSES, "status"), "{{status}}")],
            "reqps",
            stacked=True,
        ),
        Panel(
            "Reads that failed",
            "Questions that ClickHouse did not answer, of portals and recorders",
            [Query(rate(metrics.CLICKHOUSE_READ_FAILURES, "instance, reason"), "{{instance}} {{reason}}")],
            "reqps",
        ),
    ),
    "Kafka": (
        Panel(
            "Lag",
            "Records that a group could work on now",
            [Query(cluster(metrics.GROUP_LAG, "group, topic"), "{{group}}: {{topic}}")],
        ),
        Panel(
            "Oldest waiting",
            "How long the oldest of them has waited",
            [Query(cluster(metrics.GROUP_OLDEST_SECONDS, "group, topic"), "{{group}}: {{topic}}")],
            "s",
        ),
        Panel("Members", "Processes in each group", [Query(cluster(metrics.GROUP_MEMBERS, "group"), "{{group}}")]),
        Panel(
            "Partitions without a reader, records lost",
            "Both should be none",
            [
                Query(f"{cluster(metrics.GROUP_UNASSIGNED, 'group, topic')} > 0", "unassigned {{group}}: {{topic}}"),
                Query(f"{cluster(metrics.GROUP_LOST, 'group, topic')} > 0", "lost {{group}}: {{topic}}"),
            ],
        ),
        Panel(
            "Rebalances",
            "How often a process was given partitions, in a quarter of an hour",
            [Query(f"max by (group) (increase({name(metrics.REBALANCES)}[15m]))", "{{group}}")],
        ),
        Panel(
            "Records at once",
            "The mean size of a batch",
            [
                Query(
                    f"{rate(metrics.BATCH_RECORDS, 'role', suffix='_sum')} / "
                    f"{rate(metrics.BATCH_RECORDS, 'role', suffix='_count')}",
                    "{{role}}",
                )
            ],
        ),
        Panel(
            "Unreadable",
            "Dead letters by the topic that they came from, and configurations of webhooks",
            [
                Query(f"{rate(metrics.DEAD_LETTERS, 'topic')} > 0", "{{topic}}"),
                Query(f"max by (instance) ({name(metrics.WEBHOOKS_UNREADABLE)}) > 0", "configurations {{instance}}"),
            ],
        ),
    ),
    "Processes": (
        Panel(
            "CPU",
            "Seconds of a core a second",
            [
                Query(
                    f'sum by (instance, process) (rate(process_cpu_seconds_total{{instance=~"$instance"}}[{_RATE}]))'
                    f" and on (instance, process) {name(metrics.BUILD_INFO)}",
                    "{{instance}} {{process}}",
                )
            ],
            "percentunit",
        ),
        Panel(
            "Memory",
            "Resident bytes",
            [
                Query(
                    'process_resident_memory_bytes{instance=~"$instance"}'
                    f" and on (instance, process) {name(metrics.BUILD_INFO)}",
                    "{{instance}} {{process}}",
                )
            ],
            "bytes",
        ),
        Panel(
            "Event loop",
            "How late it is with what is to be done at a certain time, at worst in 99 of 100",
            [Query(quantile(0.99, metrics.EVENT_LOOP_LAG_SECONDS, "instance, process"), "{{instance}} {{process}}")],
            "s",
        ),
        Panel(
            "Tasks", "Of each event loop", [Query(now(metrics.TASKS, "instance, process"), "{{instance}} {{process}}")]
        ),
        Panel(
            "Versions",
            "Processes by version; beside `up`, those that do not answer",
            [
                Query(f"count by (version) ({name(metrics.BUILD_INFO)})", "{{version}}"),
                Query(f"{name(metrics.PROCESS_UP)} == 0", "silent: {{process}}"),
            ],
        ),
    ),
}


def dashboard() -> dict[str, Any]:
    """What Grafana imports."""
    numbers = count(1)
    return {
        "uid": "portal-dispatcher",
        "title": "Portal webhook dispatcher",
        "description": "Written by tools/dashboard.py from the metrics' definitions",
        "tags": ["dispatcher"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "templating": {
            "list": [
                {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
                {
                    "name": "instance",
                    "label": "Process",
                    "type": "query",
                    "datasource": _SOURCE,
                    "query": {"query": f"label_values({name(metrics.BUILD_INFO)}, instance)", "refId": "instance"},
                    "refresh": 2,
                    "sort": 1,
                    "multi": True,
                    "includeAll": True,
                    "allValue": ".*",
                    "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
                },
            ]
        },
        "panels": list(_panels(numbers)),
    }


def _panels(numbers: Iterator[int]) -> Iterator[dict[str, Any]]:
    top = 0
    for title, panels in ROWS.items():
        yield {
            "id": next(numbers),
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": top, "w": _WIDTH, "h": 1},
        }
        top += 1
        in_a_row = 6 if panels[0].stat else 3
        width, height = _WIDTH // in_a_row, _STAT_HEIGHT if panels[0].stat else _HEIGHT
        for start in range(0, len(panels), in_a_row):
            for column, panel in enumerate(panels[start : start + in_a_row]):
                yield _panel(next(numbers), panel, {"x": column * width, "y": top, "w": width, "h": height})
            top += height


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.highest is not None:
        defaults["max"] = panel.highest
    if not panel.stat:
        stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
        defaults["custom"] = {"fillOpacity": 30 if panel.stacked else 0, "showPoints": "never", "stacking": stacking}
    options: dict[str, Any] = (
        {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "none"}
        if panel.stat
        else {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    )
    return {
        "id": number,
        "type": "stat" if panel.stat else "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "expr": query.expression,
                "legendFormat": query.legend,
                "datasource": _SOURCE,
            }
            for index, query in enumerate(panel.queries)
        ],
    }


def text() -> str:
    """The file's content."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text(), encoding="utf-8")
