"""What a portal says of a webhook that another one made or changed a moment ago: it reads of that first."""

from datetime import UTC, datetime
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest
from aiohttp.test_utils import make_mocked_request

from dispatcher.errors import KafkaUnavailable
from dispatcher.portal.api.named_webhooks import NamedWebhooks
from dispatcher.portal.api.operation import Call, NoBody, NoQuery
from dispatcher.portal.api.problems import Problem
from dispatcher.portal.api.webhook_views import WebhookChange
from dispatcher.portal.api.webhooks import WebhooksApi
from dispatcher.portal.audit import Audit
from dispatcher.portal.changes import Changes
from dispatcher.webhooks.directory import Directory
from tests.support.serving import CALLER
from tests.support.webhooks import a_webhook

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
OPERATIONS = ("change_webhook", "enable_webhook", "disable_webhook", "rotate_secret", "delete_webhook")
BODIES = {"change_webhook": WebhookChange.model_validate({"name": "B"})}


class Behind:
    """A portal that has read of ``wh-1`` at its first revision; it is at the second, and there is ``wh-2``."""

    def __init__(self) -> None:
        self.directory = Directory()
        self.directory.apply(0, "wh-1", a_webhook("wh-1", status="disabled"), 1, 0)
        self.caught_up = 0
        self.kafka_is_away = False
        self.store = AsyncMock()
        audit = Audit(AsyncMock(), "webhooks.audit", lambda: NOON)
        changes = Changes(self.directory, self.store, audit, lambda: NOON)
        self.webhooks = NamedWebhooks(self.directory, self._catch_up)
        self._api = WebhooksApi(self.webhooks, changes, cast("Any", None), lambda: NOON)

    def call(self, webhook_id: str, body: Any = None, if_match: str | None = None) -> Call[NoQuery, Any]:
        path = {"organization_id": "org-contoso", "webhook_id": webhook_id}
        headers = {} if if_match is None else {"If-Match": if_match}
        request = make_mocked_request("POST", "/", headers=headers, match_info=path)
        return Call(CALLER, path, NoQuery(), body, b"", request)

    async def ask(self, operation: str, webhook_id: str, if_match: str | None = None) -> Any:
        body = BODIES.get(operation, NoBody())
        return await getattr(self._api, operation)(self.call(webhook_id, body, if_match))

    @property
    def written(self) -> list[int]:
        calls = [*self.store.replace.await_args_list, *self.store.delete.await_args_list]
        return [call.kwargs["based_on"] for call in calls]

    async def _catch_up(self) -> None:
        if self.kafka_is_away:
            raise KafkaUnavailable("no broker answers")
        self.caught_up += 1
        if self.caught_up == 1:
            self.directory.apply(1, "wh-1", a_webhook("wh-1", name="A", payload_template={"text": "2"}), 2, 1)
            self.directory.apply(2, "wh-2", a_webhook("wh-2", status="disabled"), 1, 0)


@pytest.fixture
def portal() -> Behind:
    return Behind()


@pytest.mark.parametrize("operation", [*OPERATIONS[:1], *OPERATIONS[2:]])
async def test_the_revision_of_another_portal_is_known(portal: Behind, operation: str) -> None:
    await portal.ask(operation, "wh-1", '"2"')
    assert (portal.written, portal.caught_up) == ([2], 1)


@pytest.mark.parametrize("operation", [*OPERATIONS[:2], *OPERATIONS[3:]])
async def test_what_another_portal_made_is_there(portal: Behind, operation: str) -> None:
    await portal.ask(operation, "wh-2")
    assert (portal.written, portal.caught_up) == ([1], 1)


async def test_what_another_portal_made_is_shown(portal: Behind) -> None:
    assert (await portal.ask("get_webhook", "wh-2")).body.id == "wh-2"


async def test_whatever_is_asked_of_what_another_portal_made_finds_it(portal: Behind) -> None:
    assert (await portal.webhooks.of(portal.call("wh-2"))).id == "wh-2"
    assert (await portal.webhooks.of(portal.call("wh-2"))).id == "wh-2"
    assert portal.caught_up == 1


@pytest.mark.parametrize(("webhook_id", "status"), [("wh-1", 412), ("wh-9", 404)])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_what_is_so_at_every_portal_is_told(portal: Behind, operation: str, webhook_id: str, status: int) -> None:
    with pytest.raises(Problem) as caught:
        await portal.ask(operation, webhook_id, '"7"')
    assert (caught.value.status, portal.written, portal.caught_up) == (status, [], 1)


@pytest.mark.parametrize("if_match", [None, "*", '"1"'])
async def test_what_is_known_needs_no_reading(portal: Behind, if_match: str | None) -> None:
    await portal.ask("enable_webhook", "wh-1", if_match)
    assert (portal.written, portal.caught_up) == ([1], 0)


async def test_while_kafka_is_away_what_is_known_is_told_and_of_the_rest_that_it_cannot_be_known(
    portal: Behind,
) -> None:
    portal.kafka_is_away = True
    with pytest.raises(Problem) as caught:
        await portal.ask("enable_webhook", "wh-1", '"2"')
    assert caught.value.status == 412
    with pytest.raises(KafkaUnavailable):
        await portal.ask("get_webhook", "wh-2")
