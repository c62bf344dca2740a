"""Every Prometheus metric of every role, in one place. Labels are types, reasons, topics, groups: never ids.

What counts deliveries has its labels resolved once; what can be asked for is asked when somebody scrapes.
"""

import asyncio
import platform
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import version
from typing import Protocol

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

# They would double the number of series and nobody draws them.
disable_created_metrics()  # type: ignore[no-untyped-call]

# A call that runs into the time-out of 15 s ends a little after it.
_OF_CALLS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 16, 30)

# Matching

EVENTS = Counter("dispatcher_events_total", "Events read by the matcher", ["event_type"])
MESSAGES = Counter("dispatcher_messages_total", "Messages that events were matched to", ["event_type"])

# Delivery

ATTEMPTS = Counter("dispatcher_attempts_total", "Attempts that ended, by status and reason", ["status", "reason"])
ATTEMPT_SECONDS = Histogram(
    "dispatcher_attempt_seconds",
    "Duration of an attempt, from connecting to the last byte that was read",
    buckets=_OF_CALLS,
)
MESSAGES_GIVEN_UP = Counter(
    "dispatcher_messages_given_up_total", "Messages that failed for good, by their last attempt's reason", ["reason"]
)
IN_FLIGHT = Gauge("dispatcher_attempts_in_flight", "Attempts being executed now")
WAITING = Gauge("dispatcher_attempts_waiting", "Attempts that a sender holds until it is their turn")
LANES = Gauge("dispatcher_lanes", "Webhooks called within the last minute, by how long their targets take", ["speed"])
PARKED = Counter("dispatcher_attempts_parked_total", "Attempts moved to webhooks.parked: their target is slow")
DUPLICATES = Counter("dispatcher_duplicates_total", "Deliveries skipped because their attempt had been made already")
RETRIES_RELAYED = Counter("dispatcher_retries_relayed_total", "Waiting attempts that came due", ["delay"])
RETRY_LATENESS_SECONDS = Histogram(
    "dispatcher_retry_lateness_seconds",
    "How long after it was due a waiting attempt was handed to the senders",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300),
)

# Recording

ROWS_RECORDED = Counter("dispatcher_rows_recorded_total", "Records inserted into ClickHouse", ["topic"])
RECORDER_INSERT_SECONDS = Histogram(
    "dispatcher_recorder_insert_seconds", "Duration of an insert into ClickHouse", buckets=_OF_CALLS
)
RECORDER_INSERT_FAILURES = Counter(
    "dispatcher_recorder_insert_failures_total", "Inserts that ClickHouse did not take", ["reason"]
)
HOURS_CLOSED = Gauge(
    "dispatcher_hours_closed_timestamp_seconds",
    "When this recorder last counted all hours that had come to rest, in seconds since the epoch; 0: it is no recorder",
)
CLICKHOUSE_READ_FAILURES = Counter(
    "dispatcher_clickhouse_read_failures_total", "Questions that ClickHouse did not answer", ["reason"]
)
TIMED_OUT, FAILED = "timeout", "error"
"""The reasons of both."""

# The portal

HTTP_RESPONSES = Counter(
    "dispatcher_http_responses_total",
    "Answers of the API and the pages, by the class of their status; not those to probes and to who scrapes",
    ["status"],
)
STATUS_CLASSES = ("2xx", "3xx", "4xx", "5xx")

# Kafka

BATCH_RECORDS = Histogram(
    "dispatcher_batch_records",
    "Records that matcher and sender write, and the recorder inserts, at once",
    ["role"],
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 20_000),
)
REBALANCES = Counter("dispatcher_rebalances_total", "Assignments of partitions to this process", ["group"])
DEAD_LETTERS = Counter("dispatcher_dead_letters_total", "Records that could not be understood", ["topic"])
WEBHOOKS_UNREADABLE = Gauge(
    "dispatcher_webhooks_unreadable", "Webhooks whose configuration this process cannot decrypt or read"
)

# The cluster as portals see it; the same from each of them, so take the maximum, never the sum.

GROUP_MEMBERS = Gauge("dispatcher_group_members", "Members of a consumer group", ["group"])
GROUP_LAG = Gauge(
    "dispatcher_group_lag_records", "Records that a group could work on now, those not due left out", ["group", "topic"]
)
GROUP_OLDEST_SECONDS = Gauge(
    "dispatcher_group_oldest_seconds", "How long the oldest of them has waited, or has been due", ["group", "topic"]
)
GROUP_UNASSIGNED = Gauge(
    "dispatcher_group_unassigned_partitions", "Partitions that no member reads", ["group", "topic"]
)
GROUP_LOST = Gauge("dispatcher_group_lost_records", "Records that retention removed unread", ["group", "topic"])
RETRIES_WAITING = Gauge("dispatcher_retries_waiting", "Attempts in a retry topic that are not due yet", ["delay"])
RETRIES_OVERDUE = Gauge("dispatcher_retries_overdue", "Attempts in a retry topic that are due", ["delay"])
RETRIES_OVERDUE_SECONDS = Gauge(
    "dispatcher_retries_overdue_seconds", "For how long the oldest of them has been due", ["delay"]
)
OF_THE_CLUSTER = (
    *(GROUP_MEMBERS, GROUP_LAG, GROUP_OLDEST_SECONDS, GROUP_UNASSIGNED, GROUP_LOST),
    *(RETRIES_WAITING, RETRIES_OVERDUE, RETRIES_OVERDUE_SECONDS),
)

# The process

READY = Gauge("dispatcher_ready", "Whether a role of this process works: 1, or 0 while it starts", ["role"])
EVENT_LOOP_LAG_SECONDS = Histogram(
    "dispatcher_event_loop_lag_seconds",
    "How late the event loop came to what was to be done at a certain time",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
TASKS = Gauge("dispatcher_tasks", "Tasks of the event loop that answers this")
PROCESS_UP = Gauge("dispatcher_process_up", "Whether a process beside this one told its metrics", ["process"])
BUILD_INFO = Gauge("dispatcher_build_info", "Which version runs: always 1", ["version", "python_version"])
BUILD_INFO.labels(version("portal-webhook-dispatcher"), platform.python_version()).set(1)


@cache
def attempts_counter(status: str, reason: str) -> Counter:
    """``ATTEMPTS`` with its labels; there are a few dozen reasons."""
    return ATTEMPTS.labels(status, reason)


class Lanes(Protocol):
    """What is asked of a sender's lanes."""

    @property
    def executing(self) -> int:
        """Attempts that are being made."""

    @property
    def waiting(self) -> int:
        """Attempts that wait for their turn."""

    @property
    def slow(self) -> int:
        """Lanes whose targets are slow."""

    @property
    def fast(self) -> int:
        """The other lanes."""


def show_lanes(lanes: Lanes) -> None:
    """Have the lanes of this process's sender asked whenever somebody scrapes."""
    IN_FLIGHT.set_function(lambda: lanes.executing)
    WAITING.set_function(lambda: lanes.waiting)
    LANES.labels("slow").set_function(lambda: lanes.slow)
    LANES.labels("fast").set_function(lambda: lanes.fast)


def show_unreadable(count: Callable[[], float]) -> None:
    """Have it counted whenever somebody scrapes how many webhooks this process cannot read."""
    WEBHOOKS_UNREADABLE.set_function(count)


def begin(topics: Iterable[str], roles: Iterable[str]) -> None:
    """These roles start, which read such topics.

    Counters of what should not happen are shown before it does: of a series that begins with 1 nobody sees it grow.
    """
    names = set(roles)
    for role in names:
        READY.labels(role).set(0)
    for topic in topics:
        DEAD_LETTERS.labels(topic)
    for reason in (TIMED_OUT, FAILED):
        RECORDER_INSERT_FAILURES.labels(reason)
        CLICKHOUSE_READ_FAILURES.labels(reason)
    if "portal" in names:
        for status in STATUS_CLASSES:
            HTTP_RESPONSES.labels(status)
    if "sender" in names:
        # Where nothing ever succeeds, the share that does is 0 and not unknown.
        attempts_counter("successful", "")


def ready(roles: Iterable[str]) -> None:
    """These roles work."""
    for role in roles:
        READY.labels(role).set(1)


def _tasks() -> float:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # asked from a thread without an event loop
        return 0


TASKS.set_function(_tasks)
