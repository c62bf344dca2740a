"""What every request meets: errors are problems, the document tells what is served, the port is the portal's own."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import jsonschema
import pytest
from aiohttp import web
from yarl import URL

from dispatcher.errors import ConfigurationError
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.portal.api.operation import ORGANIZATION
from dispatcher.portal.app import Portal
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.settings import Settings
from dispatcher.webhooks.follower import ConfigFollower
from tests.support.portal import Api, a_token, vault_of
from tests.support.target import Received, a_target
from tests.support.waiting import eventually

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {"status": {"type": "integer"}, "detail": {"type": "string", "minLength": 10}},
}


@pytest.fixture
def monotonic() -> Callable[[], float]:
    """No time passes in which what was asked is forgiven, however long that takes."""
    return lambda: 1_000.0


async def test_every_error_is_a_problem(api: Api) -> None:
    asked: list[tuple[int, str, str, Any, dict[str, str]]] = [
        (400, "POST", "/webhooks", b"{", {"Content-Type": "application/json"}),
        (400, "POST", "/webhooks", b'{"name": 1, "name": 2}', {"Content-Type": "application/json"}),
        (400, "POST", "/webhooks", b'{"name": NaN}', {"Content-Type": "application/json"}),
        (400, "POST", "/webhooks", b"", {"Content-Type": "application/json"}),
        (401, "GET", "/webhooks", None, {"Authorization": "Basic eDp5"}),
        (401, "GET", "/webhooks", None, {"Authorization": "Bearer x.y.z"}),
        (404, "GET", "/nothing", None, {}),
        (404, "GET", "/webhooks/x/attempts/y", None, {}),
        (405, "PUT", "/webhooks", {}, {}),
        (413, "POST", "/webhooks", BytesIO(b" " * (1024 * 1024 + 1)), {"Content-Type": "application/json"}),
        (415, "POST", "/webhooks", b"{}", {"Content-Type": "text/plain"}),
        (422, "POST", "/webhooks", [], {}),
    ]
    for status, method, path, body, headers in asked:
        reply = await replace(api, headers=headers)(method, path, body)
        assert (reply.status, reply.headers["Content-Type"]) == (status, "application/problem+json"), (method, path)
        jsonschema.validate(reply.body, PROBLEM)
        assert reply.body["status"] == status


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * 70_000 + b"\r\n\r\n", 431),
    ],
)
async def test_what_is_not_http_gets_a_problem(portal: Portal, request_: bytes, status: int) -> None:
    url = URL(portal.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(request_)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert int(head.split()[1]) == status
    assert b"content-type: application/problem+json" in head.lower()
    problem = json.loads(body)
    jsonschema.validate(problem, PROBLEM)
    assert problem["status"] == status


async def test_a_body_that_never_says_its_size_is_limited_too(api: Api, portal: Portal) -> None:
    async def endless() -> Any:
        for _ in range(40):
            yield b" " * 65_536

    url = f"{portal.url}{ORGANIZATION.format(organization_id='org-contoso')}/webhooks"
    headers = {"Authorization": f"Bearer {api.token}", "Content-Type": "application/json"}
    async with api.session.post(url, data=endless(), headers=headers) as response:
        assert response.status == 413
        assert response.content_type == "application/problem+json"


async def test_lists_event_types(api: Api) -> None:
    items = (await api("GET", "/event-types")).body["items"]
    assert [item["event_type"] for item in items][:2] == ["active_alert", "executed_microservice"]
    assert len(items) == 7
    assert {"name": "alert_name", "caption": "Alert name"} in items[0]["variables"]
    assert items[0]["display_name"] == "Active alert"
    assert items[0]["example_template"]["message"]["event_type"] == "#event_type"


async def test_searches_resources(api: Api, clients: KafkaClients, topics: Topics) -> None:

    async with clients.producer() as producer:
        for id in (b"1", b"2"):
            await producer.send_and_wait(
                topics.resources,
                b'{"organization_id":"org-contoso","kind":"alert","id":"%b","name":"Disk %b"}' % (id, id),
                key=b"org-contoso/alert/" + id,
            )
        await producer.send_and_wait(topics.resources, b"nonsense", key=b"nonsense")

    async def found() -> Any:
        return len((await api("GET", "/resources?event_type=active_alert")).body["items"]) == 2

    await eventually(found)
    page = (await api("GET", "/resources?event_type=active_alert&search=disk&limit=1")).body
    assert page["items"] == [{"id": "1", "name": "Disk 1", "url": None}]
    rest = (await api("GET", f"/resources?event_type=active_alert&cursor={page['next_cursor']}")).body
    assert [item["id"] for item in rest["items"]] == ["2"]
    assert (await api("GET", "/resources?event_type=object_created")).body["items"] == []
    assert (await api("GET", "/resources")).status == 422
    assert (await api("GET", "/resources?event_type=active_alert&cursor=x")).status == 422


async def test_parameters_without_a_value_are_as_good_as_none(api: Api) -> None:
    webhook = f"/webhooks/{(await api.create())['id']}"
    for path in (
        "/webhooks?search=&event_type=&status=&limit=&cursor=",
        f"{webhook}/attempts?status=&limit=&cursor=",
        f"{webhook}/attempts?status=&status=failed",
        f"{webhook}/metrics/history?bucket=&from=&to=",
        f"{webhook}/audit?limit=&cursor=",
        "/resources?event_type=active_alert&search=&limit=&cursor=",
    ):
        assert (await api("GET", path)).status == 200, path
    missing = await api("GET", "/resources?event_type=")
    assert (missing.status, missing.body["errors"]) == (422, [{"field": "event_type", "detail": "is missing"}])
    assert (await api("GET", f"{webhook}/attempts?status=failed&status=pending")).status == 422


async def test_head_is_get_without_the_body(api: Api, portal: Portal) -> None:
    webhook = f"/webhooks/{(await api.create())['id']}"
    base = portal.url + ORGANIZATION.format(organization_id="org-contoso")
    headers = {"Authorization": f"Bearer {api.token}"}
    for path, status in (
        ("/event-types", 200),
        ("/webhooks?limit=1", 200),
        (webhook, 200),
        (f"{webhook}/metrics", 200),
        ("/webhooks/nothing", 404),
        (f"{webhook}/attempts/stream", 405),
        (f"{webhook}/attempts.csv", 405),
        (f"{webhook}/enable", 405),
    ):
        async with api.session.head(base + path, headers=headers) as response:
            assert (response.status, await response.read()) == (status, b""), path
            assert int(response.headers["Content-Length"]) > 0
    async with (
        api.session.head(base + webhook, headers=headers) as head,
        api.session.get(base + webhook, headers=headers) as get,
    ):
        assert head.headers["ETag"] == get.headers["ETag"]
        assert int(head.headers["Content-Length"]) == len(await get.read())
    async with api.session.head(base + webhook) as response:
        assert response.status == 401


async def test_tells_operators(portal: Portal, api: Api) -> None:
    for path, status, content_type in (
        ("/health/live", 200, "application/json"),
        ("/health/ready", 200, "application/json"),
        ("/metrics", 200, "text/plain"),
        ("/api/openapi.json", 200, "application/json"),
        ("/nowhere", 404, "application/problem+json"),
    ):
        async with api.session.get(path) as response:
            assert (response.status, response.content_type) == (status, content_type)
            assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_document_has_every_route(portal: Portal, api: Api) -> None:
    async with api.session.get("/api/openapi.json") as response:
        document = await response.json()
    assert document["openapi"] == "3.1.0"
    described = {(method, path) for path, methods in document["paths"].items() for method in methods}
    for method, path in sorted(described):
        async with api.session.request(method, path.format_map(_Anything())) as response:
            assert response.status == 401, (method, path)
    assert len(described) == 22
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    text = str(document)
    for name in document["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in text
    operation_ids = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(set(operation_ids)) == len(operation_ids)


class _Anything(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "x"


async def test_a_taken_port_is_named(
    portal: Portal, settings: Settings, clients: KafkaClients, topics: Topics, follower: ConfigFollower
) -> None:
    taken = settings.model_copy(update={"http_port": URL(portal.url).port})
    second = Portal(taken, clients, topics, follower, vault_of(settings), portal._log._clickhouse)
    with pytest.raises(ConfigurationError, match="DISPATCHER_HTTP_PORT"):
        await second.start()


async def test_needs_exactly_one_way_to_verify_tokens(settings: Settings, clickhouse: ClickHouse) -> None:
    for changes, named in (
        ({"auth_secret": None}, "set DISPATCHER_AUTH_SECRET"),
        ({"auth_jwks_url": "https://id.example/jwks"}, "both set"),
    ):
        changed = settings.model_copy(update=changes)
        with pytest.raises(ConfigurationError, match=named):
            Portal(changed, None, None, None, None, clickhouse)  # type: ignore[arg-type]


async def test_a_token_s_requests_are_counted(api: Api, settings: Settings) -> None:
    id = (await api.create())["id"]
    reply = await api("GET", "/webhooks")
    assert reply.headers["RateLimit-Policy"] == '"default";q=1000;w=10'
    assert re.fullmatch(r'"default";r=99\d;t=1', reply.headers["RateLimit"])
    since = {"since": "2026-11-23T10:15:04Z"}
    replies = [await api("POST", f"/webhooks/{id}/recover", since) for _ in range(31)]
    assert [reply.status for reply in replies] == [409] * 30 + [429]
    refused = replies[-1]
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert 1 <= int(refused.headers["Retry-After"]) <= 2
    assert re.search(r'"recover";r=0;t=(59|60)\b', refused.headers["RateLimit"])
    another = replace(api, token=a_token(settings, sub="user-2"))
    assert (await another("POST", f"/webhooks/{id}/recover", since)).status == 409


async def test_tests_at_once_are_limited(api: Api) -> None:
    refused = asyncio.Event()

    async def answer_then(_: Received) -> web.Response:
        await refused.wait()
        return web.Response()

    async with a_target() as target:
        ids = [(await api.create(target_url=target.url(f"{n}", answer_then)))["id"] for n in range(11)]
        tests = [asyncio.create_task(api("POST", f"/webhooks/{id}/test")) for id in ids]
        (first,), _ = await asyncio.wait(tests, return_when=asyncio.FIRST_COMPLETED)
        refused.set()
        replies = await asyncio.gather(*tests)
    assert first.result().status == 429
    assert sorted(reply.status for reply in replies) == [200] * 10 + [429]
