import json
from datetime import UTC, datetime

from dispatcher.webhooks.notices import webhook_disabled
from tests.support.webhooks import a_webhook

THEN = datetime(2026, 11, 23, 10, 15, 4, 120_000, tzinfo=UTC)


def test_says_which_webhook_was_disabled_and_why() -> None:
    webhook = a_webhook(status="disabled", disabled_reason="the target answered 410 Gone", updated_on=THEN)
    assert json.loads(webhook_disabled(webhook).encode()) == {
        "specversion": "1.0",
        "id": "wh-1-1795428904120-disabled",
        "source": "/webhooks/dispatcher",
        "type": "webhook_disabled",
        "time": "2026-11-23T10:15:04.120Z",
        "datacontenttype": "application/json",
        "data": {
            "organization_id": "org-contoso",
            "webhook_id": "wh-1",
            "name": "Webhook wh-1",
            "reason": "the target answered 410 Gone",
        },
    }
