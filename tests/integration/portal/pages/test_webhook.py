"""A webhook's page, and what can be done there."""

import json
import re
import time
from html import unescape
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.webhooks.target_headers import MASK
from tests.support.portal import Api
from tests.support.target import a_target, answer
from tests.support.visitor import Visitor
from tests.support.waiting import eventually
from tests.support.webhooks import disable_command

SENT = ("content-type", "webhook-id", "webhook-timestamp", "webhook-signature", "webhook-event", "webhook-attempt")


@pytest.fixture
async def webhook(api: Api, visitor: Visitor) -> dict[str, Any]:
    await visitor.sign_in()
    return await api.create(
        payload_template={"text": "#alert_name", "also": "<b>#nothing</b>"}, headers={"X-Key": "hush"}
    )


async def test_it_shows_everything_that_was_configured_and_no_secret(visitor: Visitor, webhook: dict[str, Any]) -> None:
    page = await visitor.get(f"{visitor.webhooks}/{webhook['id']}")
    for text in ("Status", "Created on", "Updated on", "Created by", "Updated by", "Target URL", "Selected Resources"):
        assert text in page.text
    for text in ("Tickets", "Active alert", "Ada", webhook["target_url"], "alert-1", "alert-2", "Payload Template"):
        assert text in page.text
    assert '<span class="json-variable">#alert_name</span>' in page.html
    assert "&lt;b&gt;#nothing&lt;/b&gt;" in page.html
    assert "hush" not in page.html
    assert webhook["secret"] not in page.html


async def test_resources_are_named_and_can_be_viewed(
    visitor: Visitor, webhook: dict[str, Any], clients: KafkaClients, topics: Topics
) -> None:
    resource = {
        "organization_id": "org-contoso",
        "kind": "alert",
        "id": "alert-1",
        "name": "Disk full",
        "url": "/alerts/1",
    }
    producer: AIOKafkaProducer = clients.producer()
    await producer.start()
    await producer.send_and_wait(topics.resources, orjson.dumps(resource), key=b"org-contoso/alert/alert-1")
    await producer.stop()

    async def named() -> bool:
        return "Disk full" in (await visitor.get(f"{visitor.webhooks}/{webhook['id']}")).text

    await eventually(named)
    page = await visitor.get(f"{visitor.webhooks}/{webhook['id']}")
    assert 'href="/alerts/1" target="_blank" rel="noopener noreferrer" aria-label="View Disk full"' in page.html


async def test_all_of_a_kind_are_one_line(visitor: Visitor, api: Api, webhook: dict[str, Any]) -> None:
    other = await api.create(items={"all": True}, event_type="object_deleted")
    page = await visitor.get(f"{visitor.webhooks}/{other['id']}")
    assert "Send webhook for all objects" in page.text


async def test_enable_and_disable(visitor: Visitor, api: Api, webhook: dict[str, Any]) -> None:
    url = f"{visitor.webhooks}/{webhook['id']}"
    page = await visitor.get(url)
    page = await visitor.post(f"{url}/enable", {"csrf": page.csrf})
    assert (page.url, "The webhook is enabled." in page.text) == (url, True)
    assert "The webhook is enabled." not in (await visitor.get(url)).text
    assert (await api("GET", f"/webhooks/{webhook['id']}")).body["status"] == "enabled"
    page = await visitor.post(f"{url}/disable", {"csrf": page.csrf})
    assert "While the webhook is disabled, nothing is sent." in page.text


async def test_who_enables_or_disables_stays_on_the_tab(visitor: Visitor, webhook: dict[str, Any]) -> None:
    url = f"{visitor.webhooks}/{webhook['id']}"
    for tab in ("audit", "metrics"):
        for action, done in (("enable", "The webhook is enabled."), ("disable", "The webhook is disabled.")):
            page = await visitor.get(f"{url}?tab={tab}&whole")
            page = await visitor.post(f"{url}/{action}", _fields(page.html, f"{url}/{action}"))
            assert (page.url, done in page.text) == (f"{url}?tab={tab}", True)
    page = await visitor.post(f"{url}/enable", {"csrf": page.csrf, "tab": "../nonsense"})
    assert page.url == url


async def test_deleting_asks_and_says_that_it_can_not_be_undone(
    visitor: Visitor, api: Api, webhook: dict[str, Any]
) -> None:
    url = f"{visitor.webhooks}/{webhook['id']}"
    page = await visitor.get(f"{url}?asks=delete")
    assert "It can not be undone" in page.text
    page = await visitor.post(f"{url}/delete", {"csrf": page.csrf, "revision": _revision(page.html)})
    assert (page.url, "The webhook is deleted." in page.text) == (visitor.webhooks, True)
    assert (await visitor.get(url)).status == 404


async def test_what_somebody_changed_meanwhile_is_not_deleted(
    visitor: Visitor, api: Api, webhook: dict[str, Any]
) -> None:
    url = f"{visitor.webhooks}/{webhook['id']}"
    page = await visitor.get(url)
    await api("PATCH", f"/webhooks/{webhook['id']}", {"name": "Changed"})
    page = await visitor.post(f"{url}/delete", {"csrf": page.csrf, "revision": _revision(page.html)})
    assert (page.url, "Ada changed the webhook meanwhile" in page.text) == (url, True)
    await api("DELETE", f"/webhooks/{webhook['id']}")
    page = await visitor.post(f"{url}/enable", {"csrf": page.csrf})
    assert (page.url, "somebody deleted it" in page.text) == (visitor.webhooks, True)


async def test_what_somebody_changed_meanwhile_is_not_enabled(
    visitor: Visitor, api: Api, webhook: dict[str, Any]
) -> None:
    url = f"{visitor.webhooks}/{webhook['id']}"
    for tab in ("overview", "metrics"):
        page = await visitor.get(f"{url}?tab={tab}&whole")
        seen = _fields(page.html, f"{url}/enable")
        await api("PATCH", f"/webhooks/{webhook['id']}", {"target_url": f"https://{tab}.example/"})
        page = await visitor.post(f"{url}/enable", seen)
        assert "Ada changed the webhook meanwhile, so nothing was done with it." in page.text
    assert (await api("GET", f"/webhooks/{webhook['id']}")).body["status"] == "disabled"


async def test_a_test_shows_request_answer_and_duration(visitor: Visitor, api: Api, webhook: dict[str, Any]) -> None:
    url = f"{visitor.webhooks}/{webhook['id']}"
    async with a_target() as target:
        changed = {
            "target_url": target.url("tested", answer(418, x_brewed_by="a <b>pot</b>")),
            "headers": {"X-Key": "hush-hush-hush"},
        }
        await api("PATCH", f"/webhooks/{webhook['id']}", changed)
        page = await visitor.post(f"{url}/test", {"csrf": (await visitor.get(url)).csrf})
    assert page.status == 200
    [received] = target.received
    for text in (
        "Result of the test",
        "Failed",
        "The target answered 418",
        "Only answers from 200 to 299 are a success.",
        f"POST {target.base}/tested",
        f"x-key: {MASK}",
        *(f"{name}: {received.headers[name]}" for name in SENT),
        "#alert_name",
        "HTTP 418",
        "x-brewed-by: a <b>pot</b>",
        " ms",
    ):
        assert text in page.text, text
    assert "hush-hush-hush" not in page.html
    assert json.loads(received.body) == webhook["payload_template"]


async def test_a_test_that_is_answered_410_says_that_it_changes_nothing(
    visitor: Visitor, api: Api, webhook: dict[str, Any]
) -> None:
    url = f"{visitor.webhooks}/{webhook['id']}"
    async with a_target() as target:
        await api("PATCH", f"/webhooks/{webhook['id']}", {"target_url": target.url("gone", answer(410))})
        await api("POST", f"/webhooks/{webhook['id']}/enable")
        page = await visitor.post(f"{url}/test", {"csrf": (await visitor.get(url)).csrf})
    assert "A test changes nothing" in page.text
    assert "was disabled" not in page.text
    assert (await api("GET", f"/webhooks/{webhook['id']}")).body["status"] == "enabled"


async def test_a_test_that_fails_says_why_in_the_person_s_language(
    visitor: Visitor, api: Api, webhook: dict[str, Any], unused_tcp_port: int
) -> None:
    await api("PATCH", f"/webhooks/{webhook['id']}", {"target_url": f"http://127.0.0.1:{unused_tcp_port}/"})
    url = f"{visitor.webhooks}/{webhook['id']}"
    page = await visitor.post(f"{url}/test", {"csrf": (await visitor.get(url)).csrf})
    assert "Failed" in page.text
    assert "The connection was refused: nothing listens" in page.text
    assert "No answer came." in page.text
    page = await visitor.post(f"{url}/test", {"csrf": page.csrf}, Accept_Language="es")
    assert "La conexión fue rechazada" in page.text


async def test_a_rotated_secret_is_shown_once(visitor: Visitor, webhook: dict[str, Any]) -> None:
    url = f"{visitor.webhooks}/{webhook['id']}"
    page = await visitor.post(f"{url}/rotate-secret", {"csrf": (await visitor.get(url)).csrf})
    assert "Copy the signing secret now" in page.text
    assert 'data-copy="whsec_' in page.html
    assert "Copy the signing secret now" not in (await visitor.get(url)).text


async def test_a_secret_that_was_not_looked_at_yet_survives_other_pages(
    visitor: Visitor, api: Api, webhook: dict[str, Any]
) -> None:
    url = f"{visitor.webhooks}/{webhook['id']}"
    other = await api.create(target_url="https://other.example/")
    fields = {"csrf": (await visitor.get(url)).csrf}
    async with visitor.session.post(f"{url}/rotate-secret", data=fields, allow_redirects=False) as response:
        assert response.status == 303
    for elsewhere in (visitor.webhooks, f"{visitor.webhooks}/{other['id']}", f"{url}?tab=audit", "/nowhere"):
        assert 'data-copy="whsec_' not in (await visitor.get(elsewhere, Accept="text/html")).html
    assert 'data-copy="whsec_' in (await visitor.get(url)).html
    assert 'data-copy="whsec_' not in (await visitor.get(url)).html


async def test_the_audit_says_who_did_what(visitor: Visitor, api: Api, webhook: dict[str, Any]) -> None:
    await api("PATCH", f"/webhooks/{webhook['id']}", {"name": "Changed", "rate_limit": 5.0})
    page = await visitor.get(f"{visitor.webhooks}/{webhook['id']}?tab=audit")
    assert page.text.index("Changed Name, Rate limit") < page.text.index("Created", page.text.index("Details"))


async def test_the_organization_s_audit_has_deleted_webhooks(
    visitor: Visitor, api: Api, webhook: dict[str, Any]
) -> None:
    gone = await api.create(name="<b>Gone</b>", target_url="https://gone.example/")
    await api("DELETE", f"/webhooks/{gone['id']}")
    assert 'href="/organizations/org-contoso/audit"' in (await visitor.get(visitor.webhooks)).html
    page = await visitor.get("/organizations/org-contoso/audit")
    assert page.text.index("<b>Gone</b> Deleted") < page.text.index("<b>Gone</b> Created")
    assert page.html.count(f"{visitor.webhooks}/{webhook['id']}") == 1
    assert gone["id"] not in page.html
    assert "Deleted" in (await visitor.get("/organizations/org-contoso/audit?cursor=nonsense")).text
    assert "Deleted" not in (await visitor.get("/organizations/org-fabrikam/audit")).text


async def test_why_the_dispatcher_disabled_it_is_explained(
    visitor: Visitor, api: Api, webhook: dict[str, Any], clients: KafkaClients, topics: Topics
) -> None:
    await api("POST", f"/webhooks/{webhook['id']}/enable")
    producer: AIOKafkaProducer = clients.producer()
    await producer.start()
    command = disable_command(webhook["id"], "the target answered 410 <Gone>", int(time.time() * 1000))
    await producer.send_and_wait(topics.commands, command, key=webhook["id"].encode())
    await producer.stop()

    async def explained() -> bool:
        text = (await visitor.get(f"{visitor.webhooks}/{webhook['id']}")).text
        return "The dispatcher disabled this webhook" in text and "The target answered 410 <Gone>" in text

    await eventually(explained)


async def test_another_organization_s_webhook_is_not_there(visitor: Visitor, webhook: dict[str, Any]) -> None:
    assert (await visitor.get(f"/organizations/org-fabrikam/webhooks/{webhook['id']}")).status == 404


def _revision(html: str) -> str:
    found = re.search('name="revision" value="([^"]+)"', html)
    assert found is not None
    return unescape(found[1])


def _fields(html: str, action: str) -> dict[str, str]:
    form = re.search(rf'<form [^>]*action="{action}">.*?</form>', html)
    assert form is not None
    return {name: unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form[0])}
