"""The notice that a message failed for good."""

from dispatcher.delivery.outcome import Outcome
from dispatcher.moments import moment
from dispatcher.webhooks.notices import FailedMessage, MessageFailed


def message_failed(outcome: Outcome, now: int) -> bytes:
    """The notice that a message will not be tried again; ``now`` is in milliseconds since the epoch."""
    return MessageFailed(
        id=f"{outcome['message_id']}-{outcome['run']}-failed",
        time=moment(now),
        data=FailedMessage(
            organization_id=outcome["organization_id"],
            webhook_id=outcome["webhook_id"],
            event_type=outcome["event_type"],
            message_id=outcome["message_id"],
            run=outcome["run"],
            attempts=outcome["attempt"],
            reason=outcome["reason"],
            error=outcome["error"],
        ),
    ).encode()
