"""A webhook's page: whose secret it shows, and webhooks that another portal has just made."""

import asyncio
import re
from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock
from urllib.parse import urlencode

import orjson
import pytest
from multidict import MultiDict

from dispatcher.errors import KafkaUnavailable
from dispatcher.events.resources import Resources
from dispatcher.events.types import DESCRIPTIONS
from dispatcher.portal.api import reading_on
from dispatcher.portal.api.choices import ChoicesApi
from dispatcher.portal.api.named_webhooks import NamedWebhooks
from dispatcher.portal.api.problems import Problem
from dispatcher.portal.api.webhooks import WebhooksApi
from dispatcher.portal.changes import Changes
from dispatcher.portal.pages.languages import N_
from dispatcher.portal.pages.visit import Visit
from dispatcher.portal.pages.webhook import Tab, WebhookPage
from dispatcher.portal.pages.webhook_form import WebhookForm
from dispatcher.webhooks.directory import Directory
from dispatcher.webhooks.store import StaleRevision
from dispatcher.webhooks.webhook import Webhook
from tests.support.visits import NOW, SESSION, a_visit, html_of
from tests.support.webhooks import a_webhook

SECRET = "whsec_c2VjcmV0IG9mIHRoZSBmaXJzdA=="
OTHER_SECRET = "whsec_c2VjcmV0IG9mIHRoZSBvdGhlcg=="
SECRETS = [{"value": OTHER_SECRET}, *[{"value": OTHER_SECRET, "expires_on": NOW + timedelta(hours=5)}] * 9]
"""As many as can sign: nine were rotated away within a day."""


class Portal:
    """The page, in one that has read of ``wh-1`` and ``wh-2``, and reads of ``wh-3`` when it catches up."""

    def __init__(self) -> None:
        self.directory = Directory()
        self.caught_up = 0
        self.kafka_is_silent = False
        for id in ("wh-1", "wh-2"):
            self._read(id)
        self.others_are_faster = True
        self.changed_elsewhere: Webhook | None = None
        audit = SimpleNamespace(entry=lambda *_, **__: SimpleNamespace(encode=bytes), record=AsyncMock())
        changes = Changes(self.directory, cast("Any", self), cast("Any", audit), lambda: NOW)
        api = WebhooksApi(NamedWebhooks(self.directory, self._catch_up), changes, cast("Any", None), lambda: NOW)
        self.resources = Resources()
        apis = SimpleNamespace(webhooks=api, choices=ChoicesApi(self.resources))
        apis.audit = SimpleNamespace(latest_read=lambda _: "")
        other = Tab("other", N_("Audit"), "history", "webhook.html", self._nothing)
        followed = Tab("followed", N_("Metrics"), "chart", "webhook.html", self._follows)
        self.page = WebhookPage(cast("Any", apis), [other, followed])
        self.form = WebhookForm(cast("Any", apis))
        self.session = SESSION

    async def replace(self, webhook: Webhook, *, based_on: int, entry: bytes) -> None:  # noqa: ARG002 - as a Store has it
        if self.others_are_faster:
            raise StaleRevision(based_on + 1, webhook)
        self.directory.apply(self.directory.next_offset, webhook.id, webhook, based_on + 1, based_on)

    def visit(self, webhook_id: str, tab: str = "overview", **query: str) -> Visit:
        path = f"/organizations/org-contoso/webhooks/{webhook_id}?tab={tab}&{urlencode(query)}"
        return a_visit(path, session=self.session, organization_id="org-contoso", webhook_id=webhook_id)

    async def show(self, webhook_id: str, tab: str = "overview", **query: str) -> str:
        visit = self.visit(webhook_id, tab, **query)
        response = await self.page.show(visit)
        self.took(visit)
        return html_of(response)

    def took(self, visit: Visit) -> None:
        """The browser has the session as the visit left it."""
        assert visit.session is not None
        self.session = visit.session

    def _read(self, id: str) -> None:
        webhook = a_webhook(id, secrets=SECRETS if id == "wh-2" else [{"value": SECRET}])
        assert self.directory.apply(self.directory.next_offset, id, webhook, 1, 0)

    async def _catch_up(self) -> None:
        self.caught_up += 1
        if self.kafka_is_silent:
            await asyncio.Event().wait()
        if self.directory.get("wh-3") is None:
            self._read("wh-3")
        if self.changed_elsewhere is not None:
            self.directory.apply(self.directory.next_offset, "wh-1", self.changed_elsewhere, 2, 1)

    async def _nothing(self, *_: object) -> Mapping[str, Any]:
        return {}

    async def _follows(self, visit: Visit, _: object) -> Mapping[str, Any]:
        visit.followed = not visit.whole
        return {}


@pytest.fixture
def portal() -> Portal:
    return Portal()


async def test_a_secret_waits_for_its_webhook_s_page_and_is_shown_once(portal: Portal) -> None:
    visit = portal.visit("wh-1")
    visit.flash("success", "It is made.")
    visit.show_secret("wh-1", SECRET)
    visit.show_secret("wh-2", OTHER_SECRET)
    portal.took(visit)

    page = await portal.show("wh-1", tab="other")
    assert "It is made." in page
    assert SECRET not in page
    page = await portal.show("wh-2")
    assert OTHER_SECRET in page
    assert SECRET not in page
    assert "It is made." not in page
    assert SECRET in await portal.show("wh-1")
    assert SECRET not in await portal.show("wh-1")
    assert portal.session.flashes == ()


async def test_what_a_followed_page_said_is_said_once_more_by_the_whole_of_it_alone(portal: Portal) -> None:
    async def said(tab: str, **headers: str) -> bool:
        visit = portal.visit("wh-1", tab)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        visit.request = visit.request.clone(headers={"Sec-Fetch-Mode": "navigate", **named})
        response = await portal.page.show(visit)
        portal.took(visit)
        return "It is done." in html_of(response)

    def happens() -> None:
        visit = portal.visit("wh-1")
        visit.flash("success", "It is done.")
        visit.show_secret("wh-2", OTHER_SECRET)
        portal.took(visit)

    for goes_on, again in {"followed&whole=yes": True, "followed": False, "other": False}.items():
        happens()
        assert await said("followed")
        assert await said(goes_on) is again
        assert not await said("followed&whole=yes")
    # A part of another page, which shows nothing of it, does not take it away.
    happens()
    assert not await said("followed", X_Page_Part="messages")
    assert await said("followed")
    assert not await said("followed", X_Page_Part="messages")
    assert OTHER_SECRET in await portal.show("wh-2")
    assert portal.session.flashes == ()


async def test_of_two_secrets_that_nobody_has_seen_the_newer_is_shown(portal: Portal) -> None:
    visit = portal.visit("wh-1")
    visit.show_secret("wh-1", OTHER_SECRET)
    visit.show_secret("wh-1", SECRET)
    portal.took(visit)
    page = await portal.show("wh-1")
    assert SECRET in page
    assert OTHER_SECRET not in page


async def test_a_rotation_that_is_refused_is_told_on_the_webhook_s_page(portal: Portal) -> None:
    visit = portal.visit("wh-2")
    response = await portal.page.rotate_secret(visit)
    portal.took(visit)
    assert (response.status, response.headers["Location"]) == (303, visit.organization_url("wh-2"))
    page = await portal.show("wh-2")
    assert "10 secrets sign already, each for 24 hours." in page
    assert 'ends, at <time datetime="2026-11-24T17:00:00.000Z"' in page


async def test_who_does_something_with_a_webhook_that_is_deleted_is_told_so_on_the_overview(portal: Portal) -> None:
    page = portal.page
    for action in (page.enable, page.disable, page.delete, page.rotate_secret):
        visit = portal.visit("wh-9")
        response = await action(visit)
        assert (response.status, response.headers["Location"]) == (303, visit.organization_url())
        assert visit.session is not None
        [flash] = visit.session.flashes
        assert (flash.kind, "somebody deleted it" in flash.text) == ("error", True)


async def test_who_deletes_what_somebody_changed_is_told_who_on_its_page(portal: Portal) -> None:
    visit = portal.visit("wh-1")
    visit.fields = {"revision": '"7"'}
    response = await portal.page.delete(visit)
    portal.took(visit)
    assert (response.status, response.headers["Location"]) == (303, visit.organization_url("wh-1"))
    assert "Ada changed the webhook meanwhile, so it is not deleted. Look at what it is now" in await portal.show(
        "wh-1"
    )


async def test_who_enables_what_somebody_changed_is_told_who_on_the_tab(portal: Portal) -> None:
    visit = portal.visit("wh-1")
    visit.fields = {"revision": '"7"', "tab": "other"}
    response = await portal.page.enable(visit)
    portal.took(visit)
    assert (response.status, response.headers["Location"]) == (303, visit.organization_url("wh-1", tab="other"))
    page = await portal.show("wh-1", tab="other")
    assert "Ada changed the webhook meanwhile, so nothing was done with it. Look at what it is now." in page


async def test_who_is_slower_than_others_again_and_again_is_told_so_where_they_were(portal: Portal) -> None:
    visit = portal.visit("wh-1")
    visit.fields = {"tab": "other"}
    response = await portal.page.disable(visit)
    portal.took(visit)
    assert (response.status, response.headers["Location"]) == (303, visit.organization_url("wh-1", tab="other"))
    assert "Others are changing this webhook all the time. Try again" in await portal.show("wh-1", tab="other")


async def test_a_webhook_that_another_portal_made_a_moment_ago_is_shown(portal: Portal) -> None:
    assert "Webhook wh-3" in await portal.show("wh-3")
    assert portal.caught_up == 1
    await portal.show("wh-3")
    await portal.show("wh-1")
    assert portal.caught_up == 1
    with pytest.raises(Problem) as caught:
        await portal.show("wh-4")
    assert (caught.value.status, portal.caught_up) == (404, 2)


async def test_nobody_waits_for_long_to_hear_that_it_cannot_be_known_whether_there_is_one(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_on, "_SECONDS", 0.05)
    portal.kafka_is_silent = True
    with pytest.raises(KafkaUnavailable):
        await portal.show("wh-4")


async def test_of_many_selected_resources_every_one_is_found(portal: Portal) -> None:
    ids = [f"op-{number}" for number in range(1_200)]
    webhook = a_webhook("wh-many", items={"all": False, "ids": ids})
    portal.directory.apply(portal.directory.next_offset, webhook.id, webhook, 1, 0)
    kind = DESCRIPTIONS[webhook.event_type].resource_kind
    resource = {
        "organization_id": "org-contoso",
        "kind": kind,
        "id": "op-1100",
        "name": "Update of Firmware",
        "url": None,
    }
    portal.resources.apply(f"org-contoso/{kind}/op-1100".encode(), orjson.dumps(resource))

    async def shown(**query: str) -> list[str]:
        listed = (await portal.show("wh-many", **query)).split('id="resource-list"')[1].split("</ul>")[0]
        return re.findall(r"<li><span>(?:<bdi>)?([^<]*)<", listed)

    assert await shown() == ids[:500]
    assert await shown(resources_page="2") == ids[500:1_000]
    assert await shown(resources_page="9") == [*ids[1_000:1_100], "Update of Firmware", *ids[1_101:]]
    assert await shown(resource="firmware") == await shown(resource="op-1100") == ["Update of Firmware"]
    assert await shown(resource="op-") == ids[:500]
    page = await portal.show("wh-many", resource="op-", resources_page="2")
    assert "Page 2 of 3" in page
    assert 'webhooks/wh-many?resources_page=3&amp;resource=op-#resources">Next</a>' in page
    assert "No resource matches." in await portal.show("wh-many", resource="nothing")
    for typed in ("0", "-1", "x", "9" * 99):
        assert "Page 1 of 3" in await portal.show("wh-many", resources_page=typed)


SAVED = {
    "name": "Tickets",
    "event_type": "operation_executed",
    "all_items": "true",
    "target_url": "https://tickets.example/hook",
    "payload_template": '{"text": "#operation_type"}',
}


@pytest.mark.parametrize("how", ["save", "disable", "rotate_secret"])
async def test_what_somebody_has_changed_is_shown_at_a_portal_that_has_not_read_of_it_yet(
    portal: Portal, how: str
) -> None:
    portal.others_are_faster = False
    visit = portal.visit("wh-1")
    visit.fields, visit.all_fields = {"revision": '"1"'}, MultiDict(SAVED)
    response = await getattr(portal.form if how == "save" else portal.page, how)(visit)
    assert response.status == 303
    for shows in ("page", "form"):
        here = Portal()
        here.took(visit)
        here.changed_elsewhere = portal.directory.get("wh-1")
        asked = here.visit("wh-1")
        response = await (here.page.show(asked) if shows == "page" else here.form.edit(asked))
        assert 'name="revision" value="&#34;2&#34;"' in html_of(response), shows
        assert here.caught_up == 1
        await here.show("wh-1")
        await here.show("wh-2")
        assert here.caught_up == 1
