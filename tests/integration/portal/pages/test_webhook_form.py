"""Creating and editing a webhook, without script: what a browser sends, and what it is shown."""

import json
import math
import re
import time
from html import unescape
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from dispatcher.events.examples import example_templates
from dispatcher.events.types import DESCRIPTIONS, EventType
from dispatcher.events.variables import variables_of
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.webhooks.target_headers import MASK
from tests.support.portal import MEMBERS, Api, a_token
from tests.support.visitor import Shown, Visitor
from tests.support.waiting import eventually

INVALID = '{\n  "text": "#alert_name"\n  "n": 1\n}'
FIELDS = {
    "name": "Tickets",
    "event_type": "active_alert",
    "target_url": "https://tickets.example/hook",
    "item_ids": "alert-1\r\nalert-2",
    "items_of": "active_alert",
    "payload_template": '{"text": "#alert_name",\r\n "n": 1}',
    "header_name": "",
    "header_value": "",
    "rate_limit": "",
}


def hidden(page: Shown, name: str) -> str:
    found = re.search(f'name="{name}" value="([^"]*)"', page.html)
    assert found is not None, f"no field {name}"
    return unescape(found[1])


def typed(page: Shown) -> str:
    return unescape(page.html.split('id="payload_template"')[1].split(">", 1)[1].split("</textarea>")[0]).removeprefix(
        "\n"
    )


def error_at(page: Shown, field: str) -> str | None:
    found = re.search(f'id="{field}-error">.*?<bdi>(.*?)</bdi>', page.html, re.DOTALL)
    return unescape(found[1]) if found else None


async def create(visitor: Visitor, **fields: str) -> Shown:
    page = await visitor.get(f"{visitor.webhooks}/new")
    once = {"csrf": page.csrf, "once": hidden(page, "once")}
    return await visitor.post(f"{visitor.webhooks}/new", {**FIELDS, **once, **fields})


async def edit(visitor: Visitor, page: Shown, **fields: str) -> Shown:
    kept = {name: hidden(page, name) for name in ("csrf", "revision", "seen")}
    return await visitor.post(page.url, {**FIELDS, **kept, **fields})


@pytest.fixture
async def webhook(api: Api, visitor: Visitor) -> dict[str, Any]:
    await visitor.sign_in()
    created = await api.create(name="Before", headers={"X-Key": "hush", "X-Team": "desk"})
    # The portal that answers this has read the audit up to here.
    assert (await api("GET", f"/webhooks/{created['id']}/audit")).status == 200
    return created


async def test_a_new_webhook_is_disabled_and_its_secret_is_shown_once(visitor: Visitor, api: Api) -> None:
    await visitor.sign_in()
    page = await create(
        visitor, header_name="X-Key", header_value="hush", rate_limit="2,5", name=" Tickets & <i>more</i> "
    )
    assert page.status == 200
    assert "The webhook is created. It is disabled" in page.text
    secret = page.html.split("Copy the signing secret now")[1].split("<code>")[1].split("</code>")[0]
    [webhook] = (await api("GET", "/webhooks")).body["items"]
    assert webhook["status"] == "disabled"
    assert webhook["name"] == "Tickets & <i>more</i>"
    assert webhook["items"] == {"ids": ["alert-1", "alert-2"]}
    assert (webhook["payload_template"], webhook["rate_limit"]) == ({"text": "#alert_name", "n": 1}, 2.5)
    assert webhook["headers"] == {"X-Key": MASK}
    page = await visitor.get(f"{visitor.webhooks}/{webhook['id']}")
    assert secret not in page.html


async def test_items_variables_and_templates_are_those_of_the_event_type(visitor: Visitor) -> None:
    await visitor.sign_in()
    for event_type in EventType:
        await its_form_is_that_of(visitor, event_type)


async def its_form_is_that_of(visitor: Visitor, event_type: EventType) -> None:
    page = await visitor.get(f"{visitor.webhooks}/new?event_type={event_type}")
    assert DESCRIPTIONS[event_type].all_items_label in page.text
    for variable in variables_of(event_type):
        assert f"<code>#{variable.name}</code><span>{variable.caption}</span>" in page.html
    assert json.loads(typed(page)) == example_templates(event_type)["Portal"]
    about = {
        one["event_type"]: one for one in json.loads(page.html.split("data-event-types>")[1].split("</script>")[0])
    }
    assert about[event_type]["sample_values"]["organization_name"] == "Contoso"
    for name, title in (("slack", "Slack"), ("teams", "Microsoft Teams")):
        template = example_templates(event_type)[title]
        assert about[event_type]["templates"][name] == template
        filled = await create(
            visitor, event_type=event_type, do=f"template:{name}", items_of=event_type, item_ids="one\ntwo"
        )
        assert json.loads(typed(filled)) == template
        assert filled.html.count('name="items" value=') == 2
    assert list(about) == [*EventType]


async def test_without_script_another_event_type_is_shown_by_a_button(visitor: Visitor) -> None:
    await visitor.sign_in()
    page = await create(visitor, event_type="operation_executed", do="event_type")
    assert page.status == 200
    assert "Send webhook for all operations" in page.text
    assert 'value="alert-1"' not in page.html
    assert json.loads(typed(page)) == {"text": "#alert_name", "n": 1}
    untouched = json.dumps(example_templates(EventType.ACTIVE_ALERT)["Slack"], indent=2, ensure_ascii=False)
    page = await create(visitor, event_type="operation_executed", payload_template=untouched, do="event_type")
    assert json.loads(typed(page)) == example_templates(EventType.OPERATION_EXECUTED)["Slack"]
    page = await create(visitor, event_type="operation_executed")
    assert (page.status, error_at(page, "items")) == (
        422,
        "These items belong to another event type. Show those of this one, and choose anew.",
    )


async def test_what_cannot_be_is_said_at_its_field_and_everything_typed_is_kept(visitor: Visitor, api: Api) -> None:
    await visitor.sign_in()
    page = await create(
        visitor,
        name=' <script>"',
        target_url="ftp://files.example",
        item_ids="",
        payload_template=INVALID.replace("\n", "\r\n"),
        header_name="Host",
        header_value="elsewhere",
        rate_limit="fast",
    )
    assert page.status == 422
    assert error_at(page, "name") is None
    assert error_at(page, "target_url") == "The URL starts with https:// or http://."
    assert error_at(page, "items") == "Choose at least one, or all."
    assert error_at(page, "payload_template") == "Line 3, column 3: a comma or a closing bracket is missing."
    assert error_at(page, "headers") == "The header Host is set by the dispatcher. Remove it."
    assert error_at(page, "rate_limit") == "Write a number, such as 5 or 0.5."
    assert typed(page) == INVALID
    for kept in (' &lt;script&gt;&#34;"', "ftp://files.example", "Host", "elsewhere", "fast"):
        assert f'value="{kept}' in page.html
    assert (await api("GET", "/webhooks")).body["items"] == []
    page = await create(visitor, name="  ", payload_template="\r\n[1]", rate_limit="0", all_items="true")
    assert error_at(page, "name") == "Write a name; it cannot be blank."
    assert error_at(page, "payload_template") == "A template is a JSON object: begin it with { and end it with }."
    assert error_at(page, "rate_limit") == "Write a number of at least 0.001, or leave it empty."
    assert typed(page) == "\n[1]"
    page = await create(visitor, name="x" * 201, target_url=f"https://a.example/{'x' * 2048}")
    assert error_at(page, "name") == "This is longer than 200 characters. Shorten it."
    assert "2,048" in (error_at(page, "target_url") or "")
    assert f'value="{"x" * 201}"' in page.html


async def test_errors_are_told_in_spanish(visitor: Visitor) -> None:
    await visitor.sign_in()
    visitor.headers["Accept-Language"] = "es"
    page = await create(visitor, target_url="nonsense", payload_template="{,}")
    assert error_at(page, "target_url") == "La URL empieza por https:// o http://."
    assert error_at(page, "payload_template") == (
        "Línea 1, columna 2: aquí se espera el nombre de un miembro, entre comillas dobles."
    )
    assert "Fecha y hora del evento (ISO 8601)" in page.text
    assert "JSON válido." in page.html


async def test_the_same_configuration_is_refused_with_a_link_to_the_other(visitor: Visitor, api: Api) -> None:
    await visitor.sign_in()
    other = await api.create(name="The <b>first</b>")
    page = await create(visitor, name="Second")
    assert page.status == 409
    assert "Another webhook has the same configuration" in page.text
    assert f'<a href="{visitor.webhooks}/{other["id"]}"' in page.html
    assert 'value="Second"' in page.html
    assert 'data-unsaved="changed"' in page.html


async def test_a_form_that_is_sent_twice_makes_one_webhook(visitor: Visitor, api: Api) -> None:
    await visitor.sign_in()
    form = await visitor.get(f"{visitor.webhooks}/new")
    fields = {**FIELDS, "csrf": form.csrf, "once": hidden(form, "once")}
    first = await visitor.post(f"{visitor.webhooks}/new", fields)
    again = await visitor.post(f"{visitor.webhooks}/new", fields)
    assert (again.url, "Copy the signing secret now" in again.text) == (first.url, True)
    assert len((await api("GET", "/webhooks")).body["items"]) == 1


async def test_editing_keeps_masked_values_and_changes_the_rest(
    visitor: Visitor, api: Api, webhook: dict[str, Any]
) -> None:
    page = await visitor.get(f"{visitor.webhooks}/{webhook['id']}/edit")
    assert "hush" not in page.html
    assert json.loads(typed(page)) == MEMBERS["payload_template"]
    kept = {name: hidden(page, name) for name in ("csrf", "revision", "seen")}
    headers = [("header_name", "X-Key"), ("header_value", MASK), ("header_name", ""), ("header_value", "")]
    fields = {name: value for name, value in FIELDS.items() if not name.startswith("header_")}
    page = await visitor.post(page.url, [*kept.items(), *fields.items(), *headers])
    assert (page.url, "The webhook is saved." in page.text) == (f"{visitor.webhooks}/{webhook['id']}", True)
    changed = (await api("GET", f"/webhooks/{webhook['id']}")).body
    assert (changed["name"], changed["headers"]) == ("Tickets", {"X-Key": MASK})
    audit = (await api("GET", f"/webhooks/{webhook['id']}/audit")).body["items"]
    assert audit[0]["changed"] == ["headers", "name"]


async def test_what_others_changed_meanwhile_is_told_and_what_was_typed_stays(
    visitor: Visitor, api: Api, webhook: dict[str, Any]
) -> None:
    url = f"{visitor.webhooks}/{webhook['id']}"
    form = await visitor.get(f"{url}/edit")
    api.token = a_token(visitor.settings, sub="user-2", name="Grace")
    await api("PATCH", f"/webhooks/{webhook['id']}", {"name": "Hers", "rate_limit": 5.0})
    await api("POST", f"/webhooks/{webhook['id']}/enable")
    page = await edit(visitor, form, name="Mine", payload_template=FIELDS["payload_template"])
    assert page.status == 412
    assert "Grace changed this webhook meanwhile" in page.text
    assert "Grace: changed Name, Rate limit" in page.text
    assert "Grace: enabled the webhook" in page.text
    assert "created" not in page.html.split("meanwhile")[1].split("</ul>")[0]
    assert "Now it is: Hers" in page.text
    assert 'value="Mine"' in page.html
    assert typed(page) == FIELDS["payload_template"].replace("\r\n", "\n")
    assert f'href="{url}/edit" data-discard' in page.html
    assert (await edit(visitor, page, name="Mine")).status == 412
    current = hidden(page, "current_revision")
    page = await edit(visitor, page, name="Mine", do="overwrite", current_revision=current)
    assert (page.status, page.url) == (200, url)
    assert (await api("GET", f"/webhooks/{webhook['id']}")).body["name"] == "Mine"


async def test_what_others_changed_is_called_as_the_audit_calls_it(
    visitor: Visitor, api: Api, webhook: dict[str, Any]
) -> None:
    url = f"{visitor.webhooks}/{webhook['id']}"
    form = await visitor.get(f"{url}/edit")
    await api("PATCH", f"/webhooks/{webhook['id']}", {"items": {"all": True}, "payload_template": {"text": "new"}})
    page, audit = await edit(visitor, form, name="Mine"), await visitor.get(f"{url}?tab=audit")
    assert "Ada: changed Selected Resources, Payload Template" in page.text
    assert "Selected Resources, Payload Template" in audit.text


async def test_a_template_may_hold_half_of_a_surrogate_pair(visitor: Visitor, api: Api) -> None:
    await visitor.sign_in()
    half = '{"text": "cut \\ud83d", "by": ["#alert_name"], "\\ud83d": {"\\ude00": 1}}'
    page = await create(visitor, payload_template=half)
    assert (page.status, "The webhook is created." in page.text) == (200, True)
    [webhook] = (await api("GET", "/webhooks")).body["items"]
    assert webhook["payload_template"] == json.loads(half)
    assert "cut \\ud83d" in page.text
    form = await visitor.get(f"{visitor.webhooks}/{webhook['id']}/edit")
    assert json.loads(typed(form)) == json.loads(half)
    page = await edit(visitor, form, payload_template=half.replace("cut", "cut off"))
    assert "The webhook is saved." in page.text
    page = await create(visitor, payload_template=half.replace("cut", "cut off"))
    assert "Another webhook has the same configuration" in page.text


async def test_a_rate_limit_is_typed_and_shown_as_the_language_writes_it(
    visitor: Visitor, api: Api, webhook: dict[str, Any]
) -> None:
    url = f"{visitor.webhooks}/{webhook['id']}"
    page = await edit(visitor, await visitor.get(f"{url}/edit"), rate_limit="1.000")
    assert error_at(page, "rate_limit") == "This can be read as 1,000 or as 1. Write the one that you mean."
    page = await edit(visitor, page, rate_limit="1,000")
    assert "1,000 attempts a second" in page.text
    visitor.headers["Accept-Language"] = "es"
    form = await visitor.get(f"{url}/edit")
    assert hidden(form, "rate_limit") == "1000"
    page = await edit(visitor, form, rate_limit="1.000")
    assert "1.000 intentos por segundo" in page.text
    await edit(visitor, await visitor.get(f"{url}/edit"), rate_limit="1,2345")
    assert (await api("GET", f"/webhooks/{webhook['id']}")).body["rate_limit"] == 1.2345
    assert "1,2345 intentos por segundo" in (await visitor.get(url)).text
    assert hidden(await visitor.get(f"{url}/edit"), "rate_limit") == "1,2345"


async def test_who_edits_what_was_deleted_can_still_save_it_as_a_new_one(
    visitor: Visitor, api: Api, webhook: dict[str, Any]
) -> None:
    form = await visitor.get(f"{visitor.webhooks}/{webhook['id']}/edit")
    await api("DELETE", f"/webhooks/{webhook['id']}")
    page = await edit(visitor, form, name="Rescued")
    assert "Somebody deleted this webhook meanwhile" in page.text
    assert f'action="{visitor.webhooks}/new"' in page.html
    assert 'value="Rescued"' in page.html


async def test_who_signed_in_again_meanwhile_is_led_back_to_the_form_with_what_was_typed(
    visitor: Visitor, api: Api, webhook: dict[str, Any]
) -> None:
    url = f"{visitor.webhooks}/{webhook['id']}/edit"
    form = await visitor.get(url)
    visitor.session.cookie_jar.clear()
    await visitor.sign_in()
    page = await edit(visitor, form, name="Mine")
    assert page.status == 403
    assert "data-keeps-draft" in page.html
    assert "opened in another session, so nothing was saved. Open it again: what you typed comes back." in page.text
    assert f'href="{url}">Open the form again</a>' in page.html
    assert (await api("GET", f"/webhooks/{webhook['id']}")).body["name"] == "Before"
    # The script opens the form, and sends what the browser kept.
    page = await edit(visitor, await visitor.get(url), name="Mine", do="restore")
    assert ("What you typed is here again" in page.text, 'value="Mine"' in page.html) == (True, True)


async def test_what_another_page_sent_in_a_session_before_is_not_what_was_typed_and_loses_nothing_of_it(
    visitor: Visitor,
) -> None:
    await visitor.sign_in()
    page = await visitor.post("/sign-out", {"csrf": "another session's"})
    assert (page.status, "data-keeps-draft" in page.html) == (403, True)
    assert "Open the form again" not in page.text


async def test_another_organization_s_webhook_cannot_be_edited(visitor: Visitor, webhook: dict[str, Any]) -> None:
    assert (await visitor.get(f"/organizations/org-fabrikam/webhooks/{webhook['id']}/edit")).status == 404


async def test_the_form_comes_soon_also_with_thousands_of_items(
    visitor: Visitor, api: Api, clients: KafkaClients, topics: Topics
) -> None:
    await visitor.sign_in()
    producer: AIOKafkaProducer = clients.producer()
    await producer.start()
    for number in range(3000):
        id, name = f"alert-{number:05}", f"Alert <b>{number}</b>"
        resource = {
            "organization_id": "org-contoso",
            "kind": "alert",
            "id": id,
            "name": name,
            "url": f"/alerts/{number}",
        }
        await producer.send(topics.resources, orjson.dumps(resource), key=f"org-contoso/alert/{id}".encode())
    await producer.flush()
    await producer.stop()
    webhook = await api.create(items={"ids": [f"alert-{number:05}" for number in range(1000)]})

    async def listed() -> bool:
        return "alert-02999" in json.dumps((await api("GET", "/resources?event_type=active_alert&search=02999")).body)

    await eventually(listed)
    few, *many = ("new?event_type=operation_executed", "new", f"{webhook['id']}/edit")
    soonest = dict.fromkeys((few, *many), math.inf)
    for _ in range(5):
        for path in soonest:
            started = time.perf_counter()
            page = await visitor.get(f"{visitor.webhooks}/{path}")
            soonest[path] = min(soonest[path], time.perf_counter() - started)
            assert page.status == 200
    # Up to ten times as long as without the items, most of it for a page of 250 kB.
    assert max(soonest[path] for path in many) < 30 * soonest[few], soonest
    assert "Alert &lt;b&gt;0&lt;/b&gt;" in page.html
    page = await edit(visitor, page, item_ids="\n".join(f"alert-{number:05}" for number in range(3000)))
    assert "The webhook is saved." in page.text


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_all_items_that_a_webhook_can_have_are_saved_and_no_more_are_shown(visitor: Visitor, api: Api) -> None:
    await visitor.sign_in()
    form = await visitor.get(f"{visitor.webhooks}/new")
    fields = {**FIELDS, "csrf": form.csrf, "once": "1", "name": "Kept", "item_ids": ""}
    items = [("items", f"{number}") for number in range(10_000)]
    page = await visitor.post(f"{visitor.webhooks}/new", [*fields.items(), *items])
    assert page.status == 200
    [webhook] = (await api("GET", "/webhooks")).body["items"]
    assert len(webhook["items"]["ids"]) == 10_000

    many = {**fields, "item_ids": "\n".join(f"{number:x}" for number in range(300_000))}
    for do in ("save", "header"):
        page = await visitor.post(f"{visitor.webhooks}/new", {**many, "do": do})
        assert page.status == 422
        assert error_at(page, "items") == (
            "300,000 were chosen; 10,000 can be. They are not shown here. Choose fewer, or all."
        )
        assert 'value="Kept"' in page.html
        assert len(page.html) < 100_000


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_a_message_that_is_too_long_is_told_at_its_field_and_kept(visitor: Visitor, api: Api) -> None:
    await visitor.sign_in()
    form = await visitor.get(f"{visitor.webhooks}/new")
    # Each brace takes three characters on its way.
    long = json.dumps({"text": "{" * 1_100_000})
    fields = {**FIELDS, "csrf": form.csrf, "once": "1", "name": "Kept", "payload_template": long}
    page = await visitor.post(f"{visitor.webhooks}/new", fields)
    assert page.status == 422
    assert error_at(page, "payload_template") == "The template is larger than 1 MiB. Make it shorter."
    assert 'value="Kept"' in page.html
    assert long in unescape(page.html)

    page = await visitor.post(f"{visitor.webhooks}/new", {**fields, "payload_template": "{" * 1_500_000})
    assert page.status == 413
    assert "larger than 4 MiB, or more than 11,000 fields, so nothing of it was saved. Go back," in page.text
    assert (await api("GET", "/webhooks")).body["items"] == []
