"""Every Prometheus metric of every role, in one place. Labels are event types, statuses, topics: never ids."""

import asyncio

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("dispatcher_events_total", "Events read by the matcher", ["event_type"])
MESSAGES = Counter("dispatcher_messages_total", "Messages that events were matched to", ["event_type"])
ATTEMPTS = Counter("dispatcher_attempts_total", "Attempts that ended, by status and reason", ["status", "reason"])
ATTEMPT_SECONDS = Histogram(
    "dispatcher_attempt_seconds",
    "Duration of an attempt, from connecting to the last byte that was read",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30),
)
IN_FLIGHT = Gauge("dispatcher_attempts_in_flight", "Attempts being executed now")
DUPLICATES = Counter("dispatcher_duplicates_total", "Deliveries skipped because their attempt had been made already")
RETRIES_RELAYED = Counter("dispatcher_retries_relayed_total", "Waiting attempts that came due", ["delay"])
RETRY_LATENESS_SECONDS = Histogram(
    "dispatcher_retry_lateness_seconds",
    "How long after it was due a waiting attempt was handed to the senders",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300),
)
ROWS_RECORDED = Counter("dispatcher_rows_recorded_total", "Records inserted into ClickHouse", ["topic"])
RECORDER_INSERT_SECONDS = Histogram("dispatcher_recorder_insert_seconds", "Duration of an insert into ClickHouse")
RECORDER_INSERT_FAILURES = Counter("dispatcher_recorder_insert_failures_total", "Inserts that ClickHouse did not take")
DEAD_LETTERS = Counter("dispatcher_dead_letters_total", "Records that could not be understood", ["topic"])
UNREADABLE_CONFIG = Counter(
    "dispatcher_unreadable_config_total", "Records of webhooks.config that could not be decrypted or read"
)
TASKS = Gauge("dispatcher_tasks", "Tasks of the event loop that answers this")


def _tasks() -> float:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # asked from a thread without an event loop
        return 0


TASKS.set_function(_tasks)
