"""What became of messages through the API: metrics, attempts, live, as CSV; sending again; the test; commands."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from aiohttp import ClientResponse
from yarl import URL

from dispatcher.delivery.record import read_delivery
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.moments import moment
from dispatcher.portal.api import attempts
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.rfc3339 import rfc3339
from tests.support.clickhouse import ON_A_SERVER_TOO, delivery, insert, outcome
from tests.support.kafka import consume, consume_all
from tests.support.portal import Api
from tests.support.target import Target, a_target, answer
from tests.support.waiting import eventually

pytestmark = ON_A_SERVER_TOO

NOW = int(datetime.now(UTC).timestamp() * 1000)
BODY = b'{"text": "as it \xc3\xa9 was",  "n": 1}'


@pytest.fixture
async def target() -> Any:
    async with a_target() as target:
        yield target


async def failed_message(clickhouse: ClickHouse, webhook_id: str, message_id: str, **others: Any) -> None:
    await insert(clickhouse, [outcome(message_id, 1, "failed", at=NOW - 60_000, webhook_id=webhook_id, **others)])


def queued(webhook_id: str, message_id: str) -> dict[str, Any]:
    return {
        "organization_id": "org-contoso",
        "webhook_id": webhook_id,
        "event_type": "object_created",
        "message_id": message_id,
        "workspace_id": "ws-7",
        "run": 1,
        "attempt": 1,
        "message_created_on": NOW - 61_000,
        "due_at": NOW - 61_000,
        "body": BODY.decode(),
    }


async def keep_body(clickhouse: ClickHouse, webhook_id: str, message_id: str) -> None:
    await clickhouse.insert("queued", orjson.dumps(queued(webhook_id, message_id)))


async def test_shows_attempts(api: Api, clickhouse: ClickHouse) -> None:
    id = (await api.create())["id"]
    await insert(
        clickhouse,
        [
            outcome(
                "msg_1",
                1,
                "failed",
                at=NOW - 9_000,
                webhook_id=id,
                error="=1+1",
                next_attempt_at=NOW,
                response_code=503,
            ),
            outcome(
                "msg_2",
                1,
                "successful",
                at=NOW - 5_000,
                webhook_id=id,
                request_url="https://t/",
                response_body="<b>ok</b>",
            ),
        ],
    )
    metrics = (await api("GET", f"/webhooks/{id}/metrics")).body
    assert metrics == {
        "successful": 1,
        "pending": 1,
        "in_progress": 0,
        "failed": 0,
        "total": 2,
        "success_rate": 1.0,
    }
    page = (await api("GET", f"/webhooks/{id}/attempts")).body
    assert [(row["status"], row["attempt"]) for row in page["items"]] == [
        ("pending", 2),
        ("successful", 1),
        ("failed", 1),
    ]
    pending, successful, failed = page["items"]
    assert (pending["executed_on"], pending["duration_ms"], pending["response_code"]) == (None, None, None)
    assert pending["next_attempt_at"].endswith("Z")
    assert (successful["error"], successful["next_attempt_at"]) == (None, None)
    assert failed["error"] == "=1+1"
    only = (await api("GET", f"/webhooks/{id}/attempts?status=failed")).body["items"]
    assert only == [failed]
    details = (await api("GET", f"/webhooks/{id}/attempts/{successful['id']}")).body
    assert details["response"] == {"headers": {}, "body": "<b>ok</b>", "truncated": False}
    assert {**details, "request": 0, "response": 0} == {**successful, "request": 0, "response": 0}
    assert (await api("GET", f"/webhooks/{id}/attempts/msg_1-9-9")).status == 404
    assert (await api("GET", f"/webhooks/{id}/attempts?cursor=x")).status == 422

    for bucket in ("hour", "day"):
        history = (await api("GET", f"/webhooks/{id}/metrics/history?bucket={bucket}")).body["items"]
        assert sum(item["attempts"] for item in history) == 2
        assert sum(item["successful"] for item in history) == 1
    for bad, named in (("bucket=week", "bucket"), ("from=2026", "from"), ("from=2099-01-01T00:00:00Z", "from")):
        reply = await api("GET", f"/webhooks/{id}/metrics/history?{bad}")
        assert (reply.status, reply.body["errors"][0]["field"]) == (422, named)

    url = f"/api/v1/organizations/org-contoso/webhooks/{id}/attempts.csv"
    async with api.session.get(url, headers={"Authorization": f"Bearer {api.token}"}) as response:
        assert response.content_type == "text/csv"
        lines = (await response.text(encoding="utf-8")).splitlines()
    assert lines[0].startswith("id,message_id,run,attempt,status")
    assert len(lines) == 4
    assert ",'=1+1," in lines[3]


async def test_lists_and_exports_the_attempts_of_a_time(api: Api, clickhouse: ClickHouse) -> None:
    id = (await api.create())["id"]
    rows = [outcome(f"msg_{n}", 1, "successful", at=NOW - n * 60_000, webhook_id=id) for n in range(10)]
    await insert(clickhouse, rows)
    first, end = (rfc3339(moment(NOW - n * 60_000)) for n in (6, 2))
    span = f"from={quote(first)}&to={quote(end)}"

    pages = list[list[str]]()
    cursor: str | None = ""
    while cursor is not None:
        reply = (await api("GET", f"/webhooks/{id}/attempts?{span}&limit=2&cursor={cursor}")).body
        pages.append([row["message_id"] for row in reply["items"]])
        cursor = reply["next_cursor"]
    assert pages == [["msg_3", "msg_4"], ["msg_5", "msg_6"]], "the beginning is among them, and the end is not"

    for only, shown in (
        (f"from={quote(first)}", 7),
        (f"to={quote(end)}", 7),
        (span, 4),
        ("to=1950-01-01T00:00:00Z", 0),
    ):
        assert len((await api("GET", f"/webhooks/{id}/attempts?{only}")).body["items"]) == shown
        url = f"/api/v1/organizations/org-contoso/webhooks/{id}/attempts.csv?{only}"
        async with api.session.get(url, headers={"Authorization": f"Bearer {api.token}"}) as response:
            assert len((await response.text()).splitlines()) == 1 + shown
    for listed in ("attempts", "attempts.csv"):
        for bad, named in ((f"from={quote(end)}&to={quote(first)}", "from"), ("to=yesterday", "to")):
            reply = await api("GET", f"/webhooks/{id}/{listed}?{bad}")
            assert (reply.status, reply.body["errors"][0]["field"]) == (422, named)


async def test_streams_attempts_as_they_happen(api: Api, clients: KafkaClients, topics: Topics) -> None:
    id = (await api.create())["id"]
    url = f"/api/v1/organizations/org-contoso/webhooks/{id}/attempts/stream"
    headers = {"Authorization": f"Bearer {api.token}"}
    async with api.session.get(url, headers=headers) as response, clients.producer() as producer, asyncio.timeout(10):
        assert response.content_type == "text/event-stream"
        assert await response.content.readuntil(b"\n\n") == b"retry: 2000\n: watching\n\n"
        await producer.send_and_wait(topics.attempts, b"nonsense", key=id.encode())
        for webhook_id in ("wh_other", id):
            happened = outcome("msg_1", 1, "failed", at=NOW, webhook_id=webhook_id, next_attempt_at=NOW + 5_000)
            await producer.send_and_wait(topics.attempts, orjson.dumps(happened), key=webhook_id.encode())
        rows = []
        for _ in range(2):
            event, _, data = (await response.content.readuntil(b"\n\n")).decode().split("\n")[:3]
            assert event == "event: attempt"
            rows.append(json.loads(data.removeprefix("data: ")))
    assert [(row["id"], row["status"]) for row in rows] == [("msg_1-1-1", "failed"), ("msg_1-1-2", "pending")]
    assert rows[1]["next_attempt_at"] == rfc3339(datetime.fromtimestamp((NOW + 5_000) / 1000, UTC))


@pytest.mark.timeout(240)
async def test_exports_a_hundred_thousand_attempts(api: Api, clickhouse: ClickHouse) -> None:
    many, days = 100_000, 27 * 24 * 3600 * 1000
    id = (await api.create())["id"]
    # Two attempts of a message in one millisecond, spread over the days that are kept.
    for start in range(0, many, 20_000):
        rows = (
            outcome(
                f"msg_{n // 2:06}",
                n % 2 + 1,
                "failed",
                at=NOW - (n // 2 + 1) * 2 * days // many,
                webhook_id=id,
                error="=1",
            )
            for n in range(start, start + 20_000)
        )
        await insert(clickhouse, rows)
    url = f"/api/v1/organizations/org-contoso/webhooks/{id}/attempts.csv"
    started = monotonic()
    async with api.session.get(url, headers={"Authorization": f"Bearer {api.token}"}) as response:
        assert response.headers["Transfer-Encoding"] == "chunked"
        first = await response.content.readline()
        begun = monotonic() - started
        lines = [line async for line in response.content]
    print(f"\n  {many:,} attempts: first line after {begun:.2f} s, all after {monotonic() - started:.2f} s")
    assert first.startswith(b"id,message_id")
    ids = [line.split(b",", 1)[0] for line in lines]
    assert (len(lines), len(set(ids))) == (many, many)
    moments = [line.split(b",")[7] for line in lines]
    assert moments == sorted(moments, reverse=True)
    assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", moments[0])
    assert all(b",'=1," in line for line in lines)


async def read_event(response: ClientResponse) -> tuple[str, Any]:
    """The next event, whatever comments come before."""
    while True:
        lines = (await response.content.readuntil(b"\n\n")).decode().split("\n")
        fields = dict(line.split(": ", 1) for line in lines if line and not line.startswith(":"))
        if "data" in fields:
            return fields["event"], json.loads(fields["data"])


async def test_streams_what_waits_for_its_first_attempt(api: Api, clients: KafkaClients, topics: Topics) -> None:
    id = (await api.create())["id"]
    url = f"/api/v1/organizations/org-contoso/webhooks/{id}/attempts/stream"
    headers = {"Authorization": f"Bearer {api.token}"}

    async def deliver(message_id: str, attempt: int = 1, webhook_id: str = id) -> None:
        waits = delivery(message_id, NOW, attempt=attempt)._replace(webhook_id=webhook_id)
        await producer.send_and_wait(topics.deliveries, waits.body, key=waits.key, headers=waits.headers())

    async def tell(message_id: str) -> None:
        happened = outcome(message_id, 1, "successful", at=NOW, webhook_id=id)
        await producer.send_and_wait(topics.attempts, orjson.dumps(happened), key=id.encode())

    async with api.session.get(url, headers=headers) as response, clients.producer() as producer, asyncio.timeout(10):
        await producer.send_and_wait(topics.deliveries, b"nonsense", key=id.encode(), headers=[("attempt", b"1")])
        await deliver("msg_2", attempt=2)
        await deliver("msg_other", webhook_id="wh_other")
        await deliver("msg_1")
        event, row = await read_event(response)
        assert (event, row["id"], row["status"], row["executed_on"]) == ("attempt", "msg_1-1-1", "pending", None)
        assert row["next_attempt_at"].endswith("Z")
        await tell("msg_1")
        assert (await read_event(response))[1]["status"] == "successful"
        await tell("msg_fast")
        assert (await read_event(response))[1]["id"] == "msg_fast-1-1"
        await deliver("msg_fast")
        await deliver("msg_3")
        assert (await read_event(response))[1]["id"] == "msg_3-1-1"


async def test_whoever_comes_back_is_told_of_the_gap(api: Api) -> None:
    id = (await api.create())["id"]
    url = f"/api/v1/organizations/org-contoso/webhooks/{id}/attempts/stream"
    headers = {"Authorization": f"Bearer {api.token}", "Last-Event-ID": "msg_1-1-1"}
    async with api.session.get(url, headers=headers) as response:
        assert await read_event(response) == ("gap", {"missed": None})


async def test_whoever_reads_nothing_is_cut_off(
    api: Api, clients: KafkaClients, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "_UNREAD_SECONDS", 0.2)
    id = (await api.create())["id"]
    url = URL(str(api.session._base_url))
    reader, writer = await asyncio.open_connection(url.host, url.port)
    path = f"/api/v1/organizations/org-contoso/webhooks/{id}/attempts/stream"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.token}\r\n\r\n".encode())
    assert b"watching" in await reader.readuntil(b": watching\n\n")
    happened = orjson.dumps(outcome("msg_1", 1, "failed", at=NOW, webhook_id=id, error="x" * 500_000))
    async with clients.producer() as producer:
        for _ in range(40):
            await (await producer.send(topics.attempts, happened, key=id.encode()))

    async def cut_off() -> bool:
        writer.write(b"\r\n")
        return writer.transport.is_closing()

    await eventually(cut_off)


async def test_sends_a_message_again(api: Api, clickhouse: ClickHouse, clients: KafkaClients, topics: Topics) -> None:
    id = (await api.create())["id"]
    again = f"/webhooks/{id}/messages/msg_1/resend"
    await keep_body(clickhouse, id, "msg_1")
    assert (await api("POST", again)).status == 409, "the webhook is disabled"
    await api("POST", f"/webhooks/{id}/enable")
    assert (await api("POST", again)).status == 409, "the message is pending"
    assert (await api("POST", f"/webhooks/{id}/messages/msg_none/resend")).status == 404
    await failed_message(clickhouse, id, "msg_1", workspace_id="ws-7")
    replies = await asyncio.gather(*(api("POST", again) for _ in range(3)))
    assert sorted(reply.status for reply in replies) == [202, 409, 409]
    assert {"message_id": "msg_1", "run": 2} in [reply.body for reply in replies]
    records = await consume_all(clients, topics.deliveries)
    assert len(records) == 1
    delivery = read_delivery(records[0].key, records[0].value, records[0].headers)
    assert (delivery.webhook_id, delivery.message_id, delivery.run, delivery.attempt) == (id, "msg_1", 2, 1)
    assert (delivery.body, delivery.workspace_id) == (BODY, "ws-7")
    assert delivery.message_created_on == NOW - 61_000

    await failed_message(clickhouse, id, "msg_old")
    assert (await api("POST", f"/webhooks/{id}/messages/msg_old/resend")).status == 410
    audit = (await api("GET", f"/webhooks/{id}/audit")).body["items"]
    assert (audit[0]["action"], audit[0]["message_id"]) == ("resent", "msg_1")

    await keep_body(clickhouse, id, "msg_often")
    await failed_message(clickhouse, id, "msg_often", run=254)
    often = f"/webhooks/{id}/messages/msg_often/resend"
    assert (await api("POST", often)).body == {"message_id": "msg_often", "run": 255}
    await failed_message(clickhouse, id, "msg_often", run=255)
    reply = await api("POST", often)
    assert (reply.status, "sent 255 times" in reply.body["detail"]) == (409, True)
    assert (await api("POST", f"/webhooks/{id}/recover", {"since": "2026-01-01T00:00:00Z"})).body == {"queued": 0}


async def test_recovers_what_failed(api: Api, clickhouse: ClickHouse, clients: KafkaClients, topics: Topics) -> None:
    id = (await api.create())["id"]
    for message_id in ("msg_1", "msg_2"):
        await keep_body(clickhouse, id, message_id)
        await failed_message(clickhouse, id, message_id)
    await failed_message(clickhouse, id, "msg_without_body")
    since = rfc3339(moment(NOW) - timedelta(hours=1))
    until = rfc3339(datetime.now(UTC))
    path = f"/webhooks/{id}/recover"
    assert (await api("POST", path, {"since": since, "until": until})).status == 409
    await api("POST", f"/webhooks/{id}/enable")
    for bad in ({}, {"since": until, "until": since}, {"since": "yesterday"}, {"since": 5}):
        reply = await api("POST", path, bad)
        assert (reply.status, reply.body["errors"][0]["field"]) == (422, "since")
    reply = await api("POST", path, {"since": since, "until": until})
    assert (reply.status, reply.body) == (202, {"queued": 2})
    assert len(await consume(clients, topics.bulk, 2)) == 2
    assert (await api("POST", path, {"since": since})).body == {"queued": 0}
    latest = (await api("GET", f"/webhooks/{id}/audit")).body["items"][0]
    assert {name: latest[name] for name in ("action", "messages", "since", "until")} == {
        "action": "recovered",
        "messages": 2,
        "since": since,
        "until": until,
    }


async def test_recovers_thousands_soon_and_once(
    api: Api, clickhouse: ClickHouse, clients: KafkaClients, topics: Topics
) -> None:
    many = 10_000
    id = (await api.create())["id"]
    await api("POST", f"/webhooks/{id}/enable")
    ids = [f"msg_{number:05}" for number in range(many)]
    await clickhouse.insert("queued", b"\n".join(orjson.dumps(queued(id, each)) for each in ids))
    await insert(
        clickhouse, [outcome(each, 1, "failed", at=NOW - 60_000, webhook_id=id, workspace_id="ws-7") for each in ids]
    )
    assert (await api("POST", f"/webhooks/{id}/messages/{ids[7]}/resend")).status == 202
    since = rfc3339(moment(NOW) - timedelta(hours=1))
    started = monotonic()
    replies = await asyncio.gather(*(api("POST", f"/webhooks/{id}/recover", {"since": since}) for _ in range(3)))
    answered = monotonic() - started
    assert sorted((reply.status, reply.body["queued"]) for reply in replies) == [(202, 0), (202, 0), (202, many - 1)]
    records = await consume(clients, topics.bulk, many - 1) + await consume(clients, topics.deliveries, 1)
    print(f"\n  {many - 1:,} messages: answered after {answered:.2f} s, queued after {monotonic() - started:.2f} s")
    assert answered < 60
    deliveries = [read_delivery(record.key, record.value, record.headers) for record in records]
    assert sorted(delivery.message_id for delivery in deliveries) == ids
    assert {(delivery.run, delivery.attempt, delivery.body) for delivery in deliveries} == {(2, 1, BODY)}
    late = (await api("POST", f"/webhooks/{id}/messages/{ids[8]}/resend")).status
    assert late == 409, "it was queued"
    assert len(await consume_all(clients, topics.bulk)) == many - 1


async def test_tests_a_webhook(api: Api, target: Target) -> None:
    good = (await api.create(target_url=target.url("good")))["id"]
    bad = (await api.create(target_url=target.url("bad", answer(500))))["id"]
    reply = await api("POST", f"/webhooks/{good}/test")
    assert reply.status == 200
    assert (reply.body["status"], reply.body["response_code"], reply.body["response_body"]) == ("successful", 200, "ok")
    assert reply.body["error"] is None
    (received,) = target.at("good")
    assert received.body == b'{"text":"#alert_name","n":1}'
    request, response = reply.body["request"], reply.body["response"]
    assert (request["url"], request["body"].encode(), request["truncated"]) == (
        target.url("good"),
        received.body,
        False,
    )
    assert request["headers"]["webhook-signature"] == received.headers["webhook-signature"]
    assert (response["body"], response["truncated"]) == ("ok", False)
    assert response["headers"]["content-type"] == "text/plain; charset=utf-8"
    reply = await api("POST", f"/webhooks/{bad}/test")
    assert (reply.body["status"], reply.body["response_code"]) == ("failed", 500)
    assert "500" in reply.body["error"]
    large = (await api.create(target_url=target.url("large"), payload_template={"text": "x" * 300_000}))["id"]
    reply = await api("POST", f"/webhooks/{large}/test")
    assert (reply.body["status"], reply.body["response_code"]) == ("failed", None)
    assert reply.body["error"] == "the rendered message is 293 KiB; at most 256 KiB are sent"
    assert target.at("large") == []


async def test_does_what_other_roles_ask(api: Api, clients: KafkaClients, topics: Topics) -> None:
    id = (await api.create())["id"]
    await api("POST", f"/webhooks/{id}/enable")
    command = {
        "v": 1,
        "command": "disable",
        "webhook_id": id,
        "reason": "the target answered 410 Gone",
        "time": int(datetime.now(UTC).timestamp() * 1000) + 1,
    }
    gone = {**command, "webhook_id": "wh_none"}
    async with clients.producer() as producer:
        for value in (b"nonsense", orjson.dumps(gone), orjson.dumps(command), orjson.dumps(command)):
            await producer.send_and_wait(topics.commands, value)

    async def disabled() -> Any:
        return (await api("GET", f"/webhooks/{id}")).body["status"] == "disabled"

    await eventually(disabled)
    webhook = (await api("GET", f"/webhooks/{id}")).body
    assert webhook["disabled_reason"] == "the target answered 410 Gone"
    assert webhook["updated_by"] == {"id": "dispatcher", "name": "Dispatcher"}
    (dead,) = await consume(clients, topics.dead_letter, 1)
    assert dead.value == b"nonsense"
    assert (await api("POST", f"/webhooks/{id}/enable")).body["disabled_reason"] is None
