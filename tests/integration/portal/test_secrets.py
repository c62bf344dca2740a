"""Secrets of a webhook are sent to its target, and appear nowhere else: not in Kafka, ClickHouse, logs or the API."""

import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import structlog
from aiohttp import web

from dispatcher.delivery.relay import Relay
from dispatcher.delivery.sender import Sender
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.recorder import Recorder
from dispatcher.rfc3339 import rfc3339
from dispatcher.settings import Settings
from dispatcher.supervision import Service
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.target_headers import MASK
from tests.support.clickhouse import ON_A_SERVER_TOO, delivery
from tests.support.kafka import consume_all
from tests.support.portal import ORGANIZATION, Api
from tests.support.target import Received, Target, a_target
from tests.support.waiting import eventually

pytestmark = ON_A_SERVER_TOO

PASSWORD = "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
API_KEY = "k3y-of-the-itsm-system"
URL_TOKEN = "XJq0Zr7sWm2pLk9TnVb4Yc8D"
QUERY_TOKEN = "sig-0f9e8d7c6b5a"
HEADERS = {"Authorization": f"Basic {PASSWORD}", "X-Api-Key": API_KEY}
NEVER = (PASSWORD, API_KEY, URL_TOKEN, QUERY_TOKEN)
BEHAVIOURS = ("accepts", "echoes", "fails", "redirects", "gone", "rambles")


async def behave(received: Received, path_and_query: str) -> web.StreamResponse:
    """As the path says; each repeats what it was sent in another place."""
    sent = {name: received.headers[name] for name in HEADERS} | {"url": path_and_query}
    match received.path.split("/")[1]:
        case "echoes":
            return web.json_response({"you": sent}, headers={"X-You": received.headers["X-Api-Key"]})
        case "fails":
            return web.Response(status=500, text=f"<p>{sent}")
        case "redirects":
            return web.Response(status=302, headers={"Location": f"https://elsewhere.example{path_and_query}"})
        case "gone":
            return web.Response(status=410, text=str(sent))
        case "rambles":
            return web.Response(text="x" * (16 * 1024 - 12) + received.headers["X-Api-Key"] * 100)
    return web.Response(text="ok")


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with a_target() as target:
        yield target


def everything_of(record: Any) -> str:
    parts = [
        record.key or b"",
        record.value or b"",
        *(value for pair in record.headers for value in (pair[0].encode(), pair[1])),
    ]
    return b" ".join(parts).decode(errors="replace")


async def rows_of(clickhouse: ClickHouse) -> dict[str, str]:
    """All that the database's tables hold."""
    tables = await clickhouse.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    )
    return {
        table["name"]: json.dumps(
            await clickhouse.query(f"SELECT * FROM {table['name']}"), default=str, ensure_ascii=False
        )
        for table in tables
    }


class Witness:
    """Makes a webhook for each behaviour, uses the whole API, and keeps what it answered."""

    def __init__(self, api: Api, target: Target) -> None:
        self._api = api
        self._target = target
        self.webhooks: dict[str, str] = {}
        self.secrets: list[str] = []
        self.answers: dict[str, str] = {}

    async def configure(self) -> None:
        for behaviour in BEHAVIOURS:
            path_and_query = f"/{behaviour}/services/T000/B000/{URL_TOKEN}?code={QUERY_TOKEN}"
            self._target.behaviours[path_and_query.partition("?")[0]] = partial(behave, path_and_query=path_and_query)
            created = await self._api.create(target_url=f"{self._target.base}{path_and_query}", headers=HEADERS)
            id = self.webhooks[behaviour] = created["id"]
            rotated = await self._api("POST", f"/webhooks/{id}/rotate-secret")
            self.secrets += [created["secret"], rotated.body["secret"]]
            await self._ask("POST", f"/webhooks/{id}/enable")
            await self._ask("POST", f"/webhooks/{id}/test")
            await self._ask("PATCH", f"/webhooks/{id}", {"name": f"{behaviour}, renamed"})

    async def all_messages_ended(self) -> bool:
        for behaviour, id in self.webhooks.items():
            metrics = (await self._api("GET", f"/webhooks/{id}/metrics")).body
            assert metrics["successful"] + metrics["failed"] == 1, (behaviour, metrics)
        return True

    async def look_at_everything(self) -> None:
        now = datetime.now(UTC)
        for id in self.webhooks.values():
            attempts = await self._api("GET", f"/webhooks/{id}/attempts")
            for attempt in attempts.body["items"]:
                await self._ask("GET", f"/webhooks/{id}/attempts/{attempt['id']}")
            for what in ("", "/attempts", "/attempts.csv", "/audit", "/metrics"):
                await self._ask("GET", f"/webhooks/{id}{what}")
            times = {"since": rfc3339(now - timedelta(hours=1)), "until": rfc3339(now)}
            await self._ask("POST", f"/webhooks/{id}/recover", times)
        await self._ask("GET", "/webhooks")

    async def _ask(self, method: str, path: str, body: object = None) -> None:
        url = f"/api/v1/organizations/{ORGANIZATION}{path}"
        headers = {"Authorization": f"Bearer {self._api.token}"}
        async with self._api.session.request(method, url, headers=headers, json=body) as response:
            text = await response.text()
        assert response.status < 500
        # A webhook shows its own URL to the organization's admins, who wrote it and may change it.
        text = re.sub(r'"target_url": ?"[^"]*"', "", text)
        # So it does with its path where it was called; what follows the path is masked.
        text = re.sub(r'"request": ?{"url": ?"[^"?]*', "", text)
        self.answers[f"{method} {path}"] = text


@asynccontextmanager
async def running(*roles: Service[object]) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for role in roles:
            await role.start()
            stack.push_async_callback(role.stop)
        yield


async def test_secrets_appear_nowhere(
    api: Api,
    target: Target,
    settings: Settings,
    clients: KafkaClients,
    topics: Topics,
    follower: ConfigFollower,
    clickhouse: ClickHouse,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    witness = Witness(api, target)
    roles = Sender(settings, clients, topics, follower), Relay(clients, topics), Recorder(clients, topics, clickhouse)
    with structlog.testing.capture_logs() as logged:
        async with running(*roles), clients.producer() as producer:
            await witness.configure()
            now = int(datetime.now(UTC).timestamp() * 1000)
            for behaviour, id in witness.webhooks.items():
                made = delivery(f"msg_{behaviour}", now)
                await producer.send_and_wait(topics.deliveries, made.body, key=id.encode(), headers=made.headers())
            await producer.send_and_wait(topics.deliveries, b"{}", key=b"unreadable", headers=[("v", b"9")])
            await eventually(witness.all_messages_ended, timeout=30)
            await witness.look_at_everything()

    assert {each.path.split("/")[1] for each in target.received} == set(BEHAVIOURS)
    for each in target.received:
        assert {name: each.headers[name] for name in HEADERS} == HEADERS
        assert URL_TOKEN in each.path

    places = witness.answers | await rows_of(clickhouse) | {"structlog": str(logged), "logging": caplog.text}
    for topic in topics.declared:
        places[topic.name] = "\n".join(everything_of(each) for each in await consume_all(clients, topic.name))
    written = (topics.config, topics.deliveries, topics.attempts, topics.audit, topics.notices, topics.commands)
    for name in (*written, topics.dead_letter, "attempt_details", "message_bodies"):
        assert len(places[name]) > 100, name
    assert "attempt failed" in places["structlog"]
    assert MASK in places["attempt_details"]
    hidden = (*NEVER, API_KEY[:11], *(secret.removeprefix("whsec_") for secret in witness.secrets))
    assert not {(place, each[:8]) for place, text in places.items() for each in hidden if each in text}
