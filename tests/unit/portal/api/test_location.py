"""Where a created webhook is, whatever the organization is called."""

from datetime import UTC, datetime
from time import monotonic
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest
from aiohttp.test_utils import make_mocked_request

from dispatcher.portal.api.idempotency import IdempotencyKeys
from dispatcher.portal.api.operation import Call, NoQuery
from dispatcher.portal.api.webhook_views import NewWebhook
from dispatcher.portal.api.webhooks import WebhooksApi
from tests.support.serving import CALLER
from tests.support.webhooks import named_webhooks

NEW = NewWebhook.model_validate(
    {
        "name": "Tickets",
        "event_type": "active_alert",
        "target_url": "https://tickets.example/hook",
        "items": {"all": True},
        "payload_template": {"text": "#alert_name"},
    }
)


@pytest.mark.parametrize(
    ("organization", "in_the_address"),
    [("org-contoso", "org-contoso"), ("Contoso & Söhne", "Contoso%20%26%20S%C3%B6hne"), ("a/b\n", "a%2Fb%0A")],
)
async def test_the_location_is_an_address(organization: str, in_the_address: str) -> None:
    changes = SimpleNamespace(directory=SimpleNamespace(revision=lambda _: 1), create=AsyncMock())
    api = WebhooksApi(named_webhooks(), cast("Any", changes), IdempotencyKeys(monotonic), lambda: datetime.now(UTC))
    path = {"organization_id": organization}
    request = make_mocked_request("POST", "/", match_info=path)
    answer = await api.create_webhook(Call(CALLER, path, NoQuery(), NEW, b"", request))
    expected = f"/api/v1/organizations/{in_the_address}/webhooks/{answer.body.id}"
    assert answer.headers["Location"] == expected
