"""Notices for operators' own systems: CloudEvents about messages that failed for good."""

from collections.abc import Mapping
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
    id = f"{outcome['message_id']}-{outcome['run']}-failed"
    return notice(id, "message_failed", data, datetime.fromtimestamp(now / 1000, UTC))


def notice(id: str, type: str, data: Mapping[str, object], moment: datetime) -> bytes:
    """A CloudEvent; the same ``id`` again where the same thing is told twice."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": id,
            "source": SOURCE,
            "type": type,
            "time": rfc3339(moment),
            "datacontenttype": "application/json",
            "data": data,
        }
    )
