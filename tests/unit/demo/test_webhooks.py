from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from dispatcher.demo import webhooks as demo
from dispatcher.demo.demonstration import shown
from dispatcher.demo.targets import Addresses
from dispatcher.demo.webhooks import create_webhooks, demo_webhooks
from dispatcher.errors import DispatcherError
from dispatcher.events.simulator.portal import DEFAULT_ORGANIZATIONS
from dispatcher.events.types import EventType

AT = Addresses(1001, 1002)


def test_every_event_type_and_every_target_has_a_webhook() -> None:
    webhooks = [webhook for organization in DEFAULT_ORGANIZATIONS for webhook in demo_webhooks(organization, AT)]
    assert {webhook["event_type"] for webhook in webhooks} == set(EventType)
    targets = {AT.well, AT.badly, AT.slowly, AT.hanging, AT.gone, AT.nobody}
    assert {webhook["target_url"] for webhook in webhooks} == targets


def test_no_two_webhooks_of_an_organization_are_the_same() -> None:
    for organization in DEFAULT_ORGANIZATIONS:
        webhooks = demo_webhooks(organization, AT)
        assert len({webhook["name"] for webhook in webhooks}) == len(webhooks)


def test_counts_are_shown_in_words() -> None:
    assert shown({"successful": 5, "pending": 2}) == "5 succeeded, 0 failed, 2 waiting, 0 in progress"


class Api:
    """As much of the portal as creates and enables webhooks; ``trouble`` comes instead of, or after, what is asked."""

    def __init__(self, *trouble: str) -> None:
        self.enabled: dict[str, bool] = {}
        self.said: list[str] = []
        self._trouble = list(trouble)

    async def create(self, *webhooks: str) -> int:
        app = web.Application()
        app.router.add_route("*", "/organizations/org-a/webhooks", self._webhooks)
        app.router.add_post("/organizations/org-a/webhooks/{id}/enable", self._enable)
        async with TestServer(app) as server:
            wanted: list[dict[str, Any]] = [{"name": name} for name in webhooks]
            return await create_webhooks(str(server.make_url("")).rstrip("/"), str, "org-a", wanted, self.said.append)

    async def _webhooks(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"items": [{"id": name} for name in self.enabled]})
        name = (await request.json())["name"]
        trouble = self._trouble.pop(0) if self._trouble else ""
        if trouble in {"503", "400"}:
            return web.json_response({"title": "not now"}, status=int(trouble))
        if name in self.enabled:
            return web.json_response({"webhook": {"id": name}}, status=409)
        self.enabled[name] = False
        if trouble == "lost" and request.transport is not None:
            request.transport.close()
        return web.json_response({"id": name}, status=201)

    async def _enable(self, request: web.Request) -> web.Response:
        self.enabled[request.match_info["id"]] = True
        return web.json_response({})


async def test_goes_on_where_it_was_when_the_api_could_not_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_AGAIN_SECONDS", 0.01)
    api = Api("", "503", "lost")
    assert await api.create("one", "two", "three") == 3
    assert api.enabled == {"one": True, "two": True, "three": True}
    unanswered, lost = api.said
    assert "gives 503" in unanswered
    assert "trying again" in lost
    assert await api.create("one", "two", "three", "four") == 3


async def test_what_the_api_refuses_is_not_tried_again() -> None:
    api = Api("400")
    with pytest.raises(DispatcherError, match="gives 400"):
        await api.create("one")
    assert not api.said
