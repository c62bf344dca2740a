"""The line of log that an attempt has which failed; one that did not has none."""

import structlog

from dispatcher.delivery.outcome import Outcome
from dispatcher.moments import moment
from dispatcher.observability.trace_context import TraceContext, logged
from dispatcher.rfc3339 import rfc3339

log = structlog.get_logger()


def log_failure(outcome: Outcome, trace: TraceContext | None) -> None:
    """The line that each attempt has which failed."""
    due = outcome["next_attempt_at"]
    log.info(
        "attempt failed",
        message_id=outcome["message_id"],
        webhook_id=outcome["webhook_id"],
        run=outcome["run"],
        attempt=outcome["attempt"],
        error=outcome["error"],
        next_attempt_at=None if due is None else rfc3339(moment(due)),
        **logged(trace),
    )
