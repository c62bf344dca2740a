"""The life of a webhook through the API."""

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import replace

import aiohttp

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.portal.app import Portal
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.settings import Settings
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.secrets import MAX_SECRETS
from dispatcher.webhooks.target_headers import MASK
from tests.support.portal import MEMBERS, OTHER_ORGANIZATION, Api, a_token, vault_of


async def test_lives_and_goes(api: Api) -> None:
    created = await api("POST", "/webhooks", {**MEMBERS, "headers": {"X-Key": "s3cret"}})
    assert created.status == 201
    webhook = created.body
    id = webhook["id"]
    assert created.headers["Location"] == f"/api/v1/organizations/org-contoso/webhooks/{id}"
    assert webhook["status"] == "disabled"
    assert webhook["disabled_reason"] is None
    assert webhook["secret"].startswith("whsec_")
    assert webhook["headers"] == {"X-Key": MASK}
    assert webhook["items"] == {"ids": ["alert-1", "alert-2"]}
    assert webhook["created_by"] == webhook["updated_by"] == {"id": "user-1", "name": "Ada"}
    assert webhook["created_on"].endswith("Z")
    assert len(webhook["created_on"]) == len("2026-11-23T10:15:04.120Z")

    got = await api("GET", f"/webhooks/{id}")
    assert got.status == 200
    assert got.headers["ETag"] == created.headers["ETag"]
    assert got.body == {name: value for name, value in webhook.items() if name != "secret"}
    assert (await api("GET", "/webhooks")).body == {"items": [got.body], "next_cursor": None}

    enabled = await api("POST", f"/webhooks/{id}/enable")
    assert (enabled.status, enabled.body["status"]) == (200, "enabled")
    again = await api("POST", f"/webhooks/{id}/enable")
    assert again.headers["ETag"] == enabled.headers["ETag"]
    rotated = await api("POST", f"/webhooks/{id}/rotate-secret")
    assert rotated.status == 200
    assert rotated.body["secret"] != webhook["secret"]
    changed = await api("PATCH", f"/webhooks/{id}", {"name": "Other", "items": {"all": True}, "rate_limit": 2.5})
    assert changed.status == 200
    assert (changed.body["name"], changed.body["items"], changed.body["rate_limit"]) == ("Other", {"all": True}, 2.5)
    disabled = await api("POST", f"/webhooks/{id}/disable")
    assert disabled.body["status"] == "disabled"

    audit = await api("GET", f"/webhooks/{id}/audit")
    actions = [(entry["action"], entry["changed"]) for entry in audit.body["items"]]
    assert actions == [
        ("disabled", ["status"]),
        ("updated", ["items", "name", "rate_limit"]),
        ("secret_rotated", ["secrets"]),
        ("enabled", ["status"]),
        ("created", []),
    ]
    page = await api("GET", f"/webhooks/{id}/audit?limit=2")
    rest = await api("GET", f"/webhooks/{id}/audit?cursor={page.body['next_cursor']}")
    assert page.body["items"] + rest.body["items"] == audit.body["items"]

    assert (await api("DELETE", f"/webhooks/{id}")).status == 204
    assert (await api("GET", f"/webhooks/{id}")).status == 404
    assert (await api("DELETE", f"/webhooks/{id}")).status == 404

    everything = (await api("GET", "/audit")).body["items"]
    assert [(entry["action"], entry["webhook"]["name"]) for entry in everything] == [
        ("deleted", "Other"),
        ("disabled", "Other"),
        ("updated", "Tickets"),
        ("secret_rotated", "Tickets"),
        ("enabled", "Tickets"),
        ("created", "Tickets"),
    ]
    assert {entry["webhook"]["id"] for entry in everything} == {id}
    assert everything[0]["by"] == {"id": "user-1", "name": "Ada"}
    page = await api("GET", "/audit?limit=4")
    rest = await api("GET", f"/audit?cursor={page.body['next_cursor']}")
    assert page.body["items"] + rest.body["items"] == everything
    assert (await api("GET", "/audit?cursor=nonsense")).status == 422
    assert (await replace(api, organization=OTHER_ORGANIZATION)("GET", "/audit")).body["items"] == []
    assert (await replace(api, organization="org-reader")("GET", "/audit")).status == 403


async def test_refuses_the_same_configuration(api: Api) -> None:
    first = await api.create()
    template = {"n": 1.0, "text": "#alert_name"}
    reply = await api(
        "POST",
        "/webhooks",
        {**MEMBERS, "name": "Twin", "items": {"ids": ["alert-2", "alert-1", "alert-2"]}, "payload_template": template},
    )
    assert reply.status == 409
    assert reply.body["webhook"] == {"id": first["id"], "name": "Tickets"}
    second = await api.create(name="Another", target_url="https://tickets.example/other")
    reply = await api("PATCH", f"/webhooks/{second['id']}", {"target_url": MEMBERS["target_url"]})
    assert reply.status == 409
    assert "Tickets" in reply.body["detail"]
    assert first["id"] in reply.body["detail"]
    elsewhere = replace(api, organization=OTHER_ORGANIZATION)
    assert (await elsewhere("POST", "/webhooks", MEMBERS)).status == 201


async def test_of_two_equal_creations_at_once_one_wins(api: Api) -> None:
    replies = await asyncio.gather(*(api("POST", "/webhooks", {**MEMBERS, "name": f"{n}"}) for n in range(5)))
    assert sorted(reply.status for reply in replies) == [201, 409, 409, 409, 409]
    assert len((await api("GET", "/webhooks")).body["items"]) == 1


async def test_creation_with_a_key_is_done_once(api: Api) -> None:
    replies = await asyncio.gather(*(api("POST", "/webhooks", MEMBERS, Idempotency_Key="k1") for _ in range(3)))
    assert [reply.status for reply in replies] == [201] * 3
    assert len({reply.body["id"] for reply in replies}) == 1
    path = f"/webhooks/{replies[0].body['id']}"
    assert (await api("PATCH", path, {"name": "Changed since"})).status == 200
    again = await api("POST", "/webhooks", MEMBERS, Idempotency_Key="k1")
    assert again.body == replies[0].body
    assert (await api("PATCH", path, {"name": "Unseen"}, If_Match=again.headers["ETag"])).status == 412
    other = await api("POST", "/webhooks", {**MEMBERS, "name": "Other"}, Idempotency_Key="k1")
    assert other.status == 422
    assert other.body["errors"][0]["field"] == "Idempotency-Key"
    quoted = await api("POST", "/webhooks", MEMBERS, Idempotency_Key='"k1"')
    assert quoted.body["id"] == replies[0].body["id"], "the draft writes keys in quotes; programs often do not"
    assert (await api("POST", "/webhooks", MEMBERS, Idempotency_Key="k2")).status == 409
    assert (await api("POST", "/webhooks", MEMBERS, Idempotency_Key="k" * 300)).status == 422


async def test_creation_with_a_key_is_done_once_whichever_portal_is_asked(
    api: Api,
    settings: Settings,
    clients: KafkaClients,
    topics: Topics,
    clickhouse: ClickHouse,
    follower: ConfigFollower,
) -> None:
    behind = ConfigFollower(clients, topics, vault_of(settings))
    other_portal = Portal(settings, clients, topics, behind, vault_of(settings), clickhouse)
    async with AsyncExitStack() as stack:
        for role in (behind, other_portal):
            await role.start()
            stack.push_async_callback(role.stop)
        session = await stack.enter_async_context(aiohttp.ClientSession(base_url=other_portal.url))
        elsewhere = Api(session, api.token)
        for n in range(10):
            body = {**MEMBERS, "target_url": f"https://tickets.example/{n}"}
            replies = await asyncio.gather(
                *(ask("POST", "/webhooks", body, Idempotency_Key=f"k{n}") for ask in (api, elsewhere, api, elsewhere))
            )
            assert [reply.status for reply in replies] == [201] * 4
            assert [reply.body for reply in replies] == [replies[0].body] * 4
        assert len((await api("GET", "/webhooks")).body["items"]) == 10

        for n in range(5):
            bodies = ({**MEMBERS, "target_url": f"https://{here}.example/{n}"} for here in ("one", "other"))
            asked = zip((api, elsewhere), bodies, strict=True)
            replies = await asyncio.gather(
                *(ask("POST", "/webhooks", body, Idempotency_Key=f"two bodies {n}") for ask, body in asked)
            )
            assert sorted(reply.status for reply in replies) == [201, 422]
        await follower.catch_up()
        assert len((await api("GET", "/webhooks")).body["items"]) == 15

        first = await api("POST", "/webhooks", MEMBERS, Idempotency_Key="one portal")
        assert (await api("PATCH", f"/webhooks/{first.body['id']}", {"name": "Changed since"})).status == 200
        assert (await api("POST", f"/webhooks/{first.body['id']}/rotate-secret")).status == 200
        await behind.catch_up()
        again = await elsewhere("POST", "/webhooks", MEMBERS, Idempotency_Key="one portal")
        assert (again.status, again.body, again.headers["ETag"]) == (201, first.body, first.headers["ETag"])
        other = await elsewhere("POST", "/webhooks", {**MEMBERS, "name": "Other"}, Idempotency_Key="one portal")
        assert (other.status, other.body["errors"][0]["field"]) == (422, "Idempotency-Key")
    entries = (await api("GET", "/audit")).body["items"]
    assert sum(entry["action"] == "created" for entry in entries) == 16


async def test_changes_only_the_revision_that_was_seen(api: Api) -> None:
    webhook = await api.create()
    path = f"/webhooks/{webhook['id']}"
    tag = (await api("GET", path)).headers["ETag"]
    assert (await api("PATCH", path, {"name": "A"}, If_Match=tag)).status == 200
    for method, where, body in (
        ("PATCH", path, {"name": "B"}),
        ("POST", f"{path}/enable", None),
        ("DELETE", path, None),
    ):
        stale = await api(method, where, body, If_Match=tag)
        assert stale.status == 412
        assert stale.headers["Content-Type"] == "application/problem+json"
    assert (await api("PATCH", path, {"name": "C"}, If_Match="*")).status == 200
    for bad in ("7", '"7', '"7" "8"', "W/7", '*, "7"'):
        assert (await api("PATCH", path, {"name": "C"}, If_Match=bad)).status == 412, bad
    assert (await api("PATCH", path, {"name": "C"}, If_Match="x" * 1_001)).status == 422
    current = (await api("GET", path)).headers["ETag"]
    for listed, status in (
        (f'"a,b", {current}', 200),
        (f'{current},"x"', 200),
        (f", {current} ,", 200),
        (f"W/{current}", 412),
        (f'"a,{current[1:-1]}"', 412),
        ('"x", "y"', 412),
    ):
        reply = await api("PATCH", path, {"name": "C"}, If_Match=listed)
        assert reply.status == status, listed
    now = (await api("GET", path)).headers["ETag"]
    replies = await asyncio.gather(*(api("PATCH", path, {"name": f"N{n}"}, If_Match=now) for n in range(4)))
    assert sorted(reply.status for reply in replies) == [200, 412, 412, 412]
    replies = await asyncio.gather(*(api("PATCH", path, {"rate_limit": n + 1}) for n in range(4)))
    assert [reply.status for reply in replies] == [200] * 4


async def test_a_change_keeps_what_it_does_not_name(api: Api) -> None:
    webhook = await api.create(headers={"X-Key": "s3cret", "X-Old": "1"}, rate_limit=3)
    path = f"/webhooks/{webhook['id']}"
    reply = await api("PATCH", path, {"headers": {"x-key": MASK, "X-New": "2"}})
    assert reply.body["headers"] == {"x-key": MASK, "X-New": MASK}
    assert reply.body["rate_limit"] == 3
    assert (await api("PATCH", path, {"rate_limit": None})).body["rate_limit"] is None
    reply = await api("PATCH", path, {"headers": {"X-Never": MASK}})
    assert (reply.status, reply.body["errors"][0]["field"]) == (422, "headers.X-Never")
    reply = await api("PATCH", path, {"event_type": "object_created"})
    assert (reply.status, reply.body["errors"][0]["field"]) == (422, "items")
    reply = await api("PATCH", path, {"name": "", "headers": {"Host": "x", "X-Key": MASK}})
    assert [error["field"] for error in reply.body["errors"]] == ["name", "headers.Host"]
    reply = await api("PATCH", path, {"event_type": "object_created", "headers": {"X-Never": MASK}})
    assert [error["field"] for error in reply.body["errors"]] == ["headers.X-Never", "items"]
    bad = {"event_type": "object_created", "name": "", "headers": {"Host": "x", "Date": "é", "X-Never": MASK}}
    reply = await api("PATCH", path, bad)
    fields = [error["field"] for error in reply.body["errors"]]
    assert fields == ["name", "headers.Host", "headers.Date", "headers.X-Never", "items"]
    assert reply.body["errors"][1]["pointer"] == "#/headers/Host"
    reply = await api("PATCH", path, {"event_type": [], "headers": []})
    assert [error["field"] for error in reply.body["errors"]] == ["event_type", "headers"]
    assert (await api("PATCH", "/webhooks/wh_none", {"name": ""})).status == 404
    reply = await api("PATCH", path, {"event_type": "object_created", "items": {"all": True}})
    assert (reply.status, reply.body["event_type"]) == (200, "object_created")
    assert (await api("PATCH", path, {"name": None})).status == 422
    reply = await api("PATCH", path, {"id": "x", "status": "enabled"})
    assert sorted(error["field"] for error in reply.body["errors"]) == ["id", "status"]


async def test_a_template_is_changed_that_only_looks_equal(api: Api) -> None:
    webhook = await api.create(payload_template={"n": 1, "text": "x"})
    for template in ({"n": True, "text": "x"}, {"text": "x", "n": True}, {"text": "x", "n": 1.0}):
        changed = await api("PATCH", f"/webhooks/{webhook['id']}", {"payload_template": template})
        assert json.dumps(changed.body["payload_template"]) == json.dumps(template)


async def test_names_every_bad_member(api: Api) -> None:
    reply = await api(
        "POST",
        "/webhooks",
        {
            "name": "  ",
            "event_type": "sunrise",
            "target_url": "ftp://x",
            "items": {"all": True, "ids": ["a"]},
            "payload_template": [],
            "rate_limit": 0,
            "colour": "red",
        },
    )
    assert reply.status == 422
    assert reply.headers["Content-Type"] == "application/problem+json"
    named = {error["field"].split(".")[0] for error in reply.body["errors"]}
    assert named == {"name", "event_type", "target_url", "items", "payload_template", "rate_limit", "colour"}
    assert {error["pointer"] for error in reply.body["errors"]} >= {"#/name", "#/target_url"}


async def test_lists_page_by_page(api: Api) -> None:
    ids = [(await api.create(name=f"W{n}", target_url=f"https://t.example/{n}"))["id"] for n in range(5)]
    await api("POST", f"/webhooks/{ids[0]}/enable")
    found: list[str] = []
    cursor = ""
    while True:
        page = (await api("GET", f"/webhooks?limit=2{cursor}")).body
        assert len(page["items"]) <= 2
        found += [webhook["id"] for webhook in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert sorted(found) == sorted(ids)
    assert found[0] == ids[-1]
    only = (await api("GET", "/webhooks?status=enabled")).body["items"]
    assert [webhook["id"] for webhook in only] == [ids[0]]
    assert len((await api("GET", "/webhooks?search=w3")).body["items"]) == 1
    limits = [f"limit={bad}" for bad in ("0", "x", "1_0", "1.0", "%205%20", "%D9%A5")]
    for bad in (*limits, "cursor=zzz", "status=on", "colour=red", "limit=1&limit=2"):
        reply = await api("GET", f"/webhooks?{bad}")
        assert (reply.status, reply.body["errors"][0]["field"]) == (422, bad.split("=")[0]), bad


async def test_a_page_of_large_webhooks_ends_earlier(api: Api) -> None:
    large = {"text": "x" * 900_000}
    ids = [(await api.create(target_url=f"https://t.example/{n}", payload_template=large))["id"] for n in range(6)]
    first = (await api("GET", "/webhooks")).body
    assert [webhook["id"] for webhook in first["items"]] == ids[:1:-1]
    rest = (await api("GET", f"/webhooks?cursor={first['next_cursor']}")).body
    assert ([webhook["id"] for webhook in rest["items"]], rest["next_cursor"]) == (ids[1::-1], None)


async def test_keeps_organizations_apart(api: Api, settings: Settings) -> None:
    webhook = await api.create()
    elsewhere = replace(api, organization=OTHER_ORGANIZATION)
    for method, verb in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/enable"),
        ("POST", "/disable"),
        ("POST", "/rotate-secret"),
        ("POST", "/test"),
        ("GET", "/metrics"),
        ("GET", "/attempts"),
        ("GET", "/attempts/stream"),
        ("GET", "/attempts.csv"),
        ("GET", "/audit"),
        ("POST", "/messages/m/resend"),
        ("POST", "/recover"),
    ):
        body = {"PATCH": {"name": "x"}, "POST": {"since": "2026-11-23T10:15:04Z"}}.get(method)
        for headers in ({}, {"If_Match": '"999"'}, {"If_Match": "no tag"}, {"If_Match": "x" * 1_001}):
            theirs = await elsewhere(method, f"/webhooks/{webhook['id']}{verb}", body, **headers)
            missing = await elsewhere(method, f"/webhooks/wh_none{verb}", body, **headers)
            assert (theirs.status, theirs.body) == (missing.status, missing.body)
            assert theirs.status == 404, (method, verb, headers)
    assert (await elsewhere("GET", "/webhooks")).body["items"] == []
    for organization in ("org-unknown", "org-reader"):
        assert (await replace(api, organization=organization)("GET", "/webhooks")).status == 403
    stranger = replace(api, token=a_token(settings, exp=1))
    reply = await stranger("GET", "/webhooks")
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"].startswith("Bearer ")


async def test_lone_surrogates_and_deep_templates(api: Api, portal: Portal) -> None:
    template = {"a": "\ud800", "\ud801": {"b": [{"\udfff #alert_name": 1}]}}
    reply = await api("POST", "/webhooks", {**MEMBERS, "payload_template": template})
    assert (reply.status, reply.body["payload_template"]) == (201, template)
    path = f"/webhooks/{reply.body['id']}"
    read = await api("GET", path)
    assert (read.status, read.body["payload_template"]) == (200, template)
    assert [webhook["payload_template"] for webhook in (await api("GET", "/webhooks")).body["items"]] == [template]
    again = await api("PATCH", path, {"payload_template": read.body["payload_template"]})
    assert (again.status, again.headers["ETag"]) == (200, read.headers["ETag"])
    deep = b'{"payload_template": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001
    reply = await api("POST", "/webhooks", deep, Content_Type="application/json")
    assert reply.status == 400


async def test_a_rotation_that_would_end_a_secret_early_is_refused(api: Api) -> None:
    id = (await api("POST", "/webhooks", MEMBERS)).body["id"]
    for _ in range(MAX_SECRETS - 1):
        assert (await api("POST", f"/webhooks/{id}/rotate-secret")).status == 200
    refused = await api("POST", f"/webhooks/{id}/rotate-secret")
    assert refused.status == 409
    assert "Rotate again when the first of them ends, at 20" in refused.body["detail"]
