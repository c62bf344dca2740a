"""Webhooks to test with."""

from datetime import UTC, datetime
from typing import Any

from dispatcher.moments import moment
from dispatcher.portal.api.named_webhooks import NamedWebhooks
from dispatcher.webhooks.commands import Disable
from dispatcher.webhooks.directory import Directory
from dispatcher.webhooks.webhook import Webhook


def a_webhook(id: str = "wh-1", **values: Any) -> Webhook:
    """A webhook with everything that a test does not say, enabled, its target URL different for each id."""
    person = {"id": "u-1", "name": "Ada"}
    moment = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
    return Webhook.model_validate(
        {
            "id": id,
            "organization_id": "org-contoso",
            "name": f"Webhook {id}",
            "event_type": "operation_executed",
            "target_url": f"https://example.com/{id}",
            "items": {"all": True},
            "payload_template": {"text": "#operation_type of #organization_name", "number": 1},
            "status": "enabled",
            "secrets": [{"value": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}],
            "created_on": moment,
            "created_by": person,
            "updated_on": moment,
            "updated_by": person,
            **values,
        }
    )


def named_webhooks(*webhooks: Webhook) -> NamedWebhooks:
    """A portal that knows these, and has read everything."""

    async def has_read() -> None:
        pass

    directory = Directory()
    for offset, webhook in enumerate(webhooks):
        directory.apply(offset, webhook.id, webhook, 1, 0)
    return NamedWebhooks(directory, has_read)


def disable_command(webhook_id: str, reason: str, as_of: int) -> bytes:
    """A record of ``webhooks.commands``; ``as_of`` in milliseconds since the epoch."""
    return Disable(v=1, command="disable", webhook_id=webhook_id, reason=reason, time=moment(as_of)).encode()
