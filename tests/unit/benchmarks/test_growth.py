"""What senders and matchers are measured with."""

import orjson
import pytest

from benchmarks.growth import CASES, Webhooks


@pytest.mark.parametrize(
    "webhooks", sorted({webhooks for _, _, webhooks in CASES}, key=repr), ids=lambda each: each.title
)
def test_each_event_makes_as_many_messages_as_are_counted_with(webhooks: Webhooks) -> None:
    configured = list(webhooks.configured("http://127.0.0.1:1/"))
    for number in range(5 * webhooks.organizations):
        data = orjson.loads(webhooks.event(number, "run"))["data"]
        meant = [
            webhook
            for webhook in configured
            if webhook.organization_id == data["organization_id"]
            and webhook.items.ids is not None
            and data["entity_type"] in webhook.items.ids
        ]
        assert len(meant) == webhooks.messages_an_event
