"""Notices for operators' own systems: CloudEvents about messages that failed for good."""

from datetime import UTC, datetime

import orjson

from dispatcher.delivery.outcome import Outcome
from dispatcher.webhooks.webhook import rfc3339

SOURCE = "/webhooks/dispatcher"


def message_failed(outcome: Outcome, now: int) -> bytes:
    """The notice that a message will not be tried again; ``now`` is in milliseconds since the epoch."""
    data = {
        "organization_id": outcome["organization_id"],
        "webhook_id": outcome["webhook_id"],
        "event_type": outcome["event_type"],
        "message_id": outcome["message_id"],
        "run": outcome["run"],
        "attempts": outcome["attempt"],
        "reason": outcome["reason"],
        "error": outcome["error"],
    }
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": f"{outcome['message_id']}-{outcome['run']}-failed",
            "source": SOURCE,
            "type": "message_failed",
            "time": rfc3339(datetime.fromtimestamp(now / 1000, UTC)),
            "datacontenttype": "application/json",
            "data": data,
        }
    )
