"""What follows from an attempt: its outcome, and whether and when the message is tried again."""

from dataclasses import dataclass

from dispatcher.delivery.failures import Failure
from dispatcher.delivery.outcome import Outcome, Status
from dispatcher.delivery.record import Delivery
from dispatcher.delivery.schedule import Retry, RetrySchedule
from dispatcher.delivery.target import Answer, Target, retry_after_of
from dispatcher.durations import milliseconds_of

GONE = "gone"

DELETED = Failure("webhook_deleted", "not sent: the webhook was deleted")
DISABLED = Failure("webhook_disabled", "not sent: the webhook is disabled")
UNREADABLE = Failure("webhook_unreadable", "not sent: the dispatcher cannot decrypt the webhook's configuration")


def broken(error: Exception) -> Failure:
    """The failure that an error of the dispatcher's own is."""
    return Failure("internal_error", f"the dispatcher could not make this attempt ({type(error).__name__})")


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The outcome to record, and the attempt that follows."""

    outcome: Outcome
    retry: Retry | None

    @property
    def disables_webhook(self) -> bool:
        """Whether the target said that it is gone for good."""
        return self.outcome["reason"] == GONE


def is_made(outcome: Outcome) -> bool:
    """Whether who asks for the attempt again repeats it: not if the webhook was disabled before it was called."""
    return outcome["attempt"] > 1 or outcome["reason"] != DISABLED.reason


def conclude(
    delivery: Delivery, target: Target, answer: Answer, schedule: RetrySchedule, *, due_at: int, ended_at: int
) -> Conclusion:
    """The conclusion of a call that ended at ``ended_at`` (milliseconds since the epoch)."""
    retry = None
    if answer.failure is not None and answer.failure.reason != GONE:
        retry = schedule.after_failure(delivery.attempt, retry_after_of(answer, ended_at / 1000))
    outcome = _outcome(delivery, "failed" if answer.failure else "successful", answer.failure, due_at)
    outcome["executed_on"] = ended_at - answer.duration_ms
    outcome["duration_ms"] = answer.duration_ms
    outcome["response_code"] = answer.response_code
    outcome["target_host"] = target.host
    outcome["next_attempt_at"] = ended_at + milliseconds_of(retry.delay) if retry else None
    outcome["request_url"] = target.shown_url
    outcome["request_headers"] = dict(answer.request_headers)
    outcome["response_headers"] = dict(answer.response_headers)
    outcome["response_body"] = answer.response_body.decode(errors="replace")
    outcome["response_truncated"] = answer.response_truncated
    return Conclusion(outcome, retry)


def conclude_without_call(delivery: Delivery, failure: Failure, *, due_at: int, ended_at: int) -> Conclusion:
    """The conclusion of an attempt whose webhook may not be called any more: the message has failed."""
    outcome = _outcome(delivery, "failed", failure, due_at)
    outcome["executed_on"] = ended_at
    return Conclusion(outcome, None)


def conclude_unmade(
    delivery: Delivery, failure: Failure, schedule: RetrySchedule, *, due_at: int, ended_at: int
) -> Conclusion:
    """The conclusion of an attempt that failed within the dispatcher: it counts, and the next one follows."""
    retry = schedule.after_failure(delivery.attempt)
    outcome = _outcome(delivery, "failed", failure, due_at)
    outcome["executed_on"] = ended_at
    outcome["next_attempt_at"] = ended_at + milliseconds_of(retry.delay) if retry else None
    return Conclusion(outcome, retry)


def in_progress(delivery: Delivery, target: Target, due_at: int, started_at: int) -> Outcome:
    """The report of an attempt that is still being executed."""
    outcome = _outcome(delivery, "in_progress", None, due_at)
    outcome["executed_on"] = started_at
    outcome["target_host"] = target.host
    return outcome


def _outcome(delivery: Delivery, status: Status, failure: Failure | None, due_at: int) -> Outcome:
    return Outcome(
        organization_id=delivery.organization_id,
        webhook_id=delivery.webhook_id,
        event_type=delivery.event_type.value,
        message_id=delivery.message_id,
        workspace_id=delivery.workspace_id,
        run=delivery.run,
        attempt=delivery.attempt,
        status=status,
        message_created_on=delivery.message_created_on,
        due_at=due_at,
        executed_on=None,
        duration_ms=None,
        response_code=None,
        error=failure.error if failure else "",
        reason=failure.reason if failure else "",
        target_host="",
        next_attempt_at=None,
    )
