"""What an earlier version wrote has the effect that it had then; what a later one wrote is set aside, and says so.

The records of ``records-*.json`` are what that version wrote, and are never edited. Whoever changes a format in a way
that these cannot be read any more breaks the upgrade of everybody whose topics hold such records.
"""

import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook as StandardWebhook

from dispatcher.delivery.relay import Relay
from dispatcher.delivery.sender import Sender
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.matching.matcher import Matcher
from dispatcher.portal.app import Portal
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.recorder import Recorder
from dispatcher.settings import Settings
from dispatcher.supervision import Service
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.vault import Vault
from tests.support.clickhouse import a_database
from tests.support.kafka import consume_all
from tests.support.portal import Api, a_token
from tests.support.target import Target, a_target
from tests.support.waiting import eventually

HERE = Path(__file__).parent
EARLIER = [path.stem.removeprefix("records-") for path in sorted(HERE.glob("records-*.json"))]
PARTITION = 1

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OFF = "the target answered 410 Gone"


@dataclass(frozen=True)
class Written:
    """One record."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Earlier:
    """The records of a version, their times moved to today and their targets to ours."""

    def __init__(self, version: str, target: str) -> None:
        content = json.loads((HERE / f"records-{version}.json").read_text())
        self.message_of_the_event: str = content["message_of_the_event"]
        self.vault = Vault(content["encryption_key"])
        now = round(time.time() * 1000)
        hour = 3_600_000
        times = {"now": now, "hour_before": now - hour, "hour_after": now + hour}
        self._times = {b"%d" % content["times"][name]: b"%d" % moved for name, moved in times.items()}
        self._target = target.encode()
        self.records = [self._record(record) for record in content["records"]]

    def of(self, *topics: str) -> list[Written]:
        return [record for record in self.records if record.topic.startswith(topics)]

    def _record(self, record: dict[str, Any]) -> Written:
        topic, key, value = record["topic"], record["key"], record["value"]
        encoded = self._moved(value.encode()) if value is not None else None
        if topic == "webhooks.config" and encoded is not None:
            with_our_target = self.vault.decrypt(encoded).replace(b"http://127.0.0.1:9", self._target)
            encoded = self.vault.encrypt(with_our_target)
        headers = [(name, self._moved(content.encode())) for name, content in record["headers"]]
        return Written(topic, key.encode() if key is not None else None, encoded, headers)

    def _moved(self, content: bytes) -> bytes:
        for then, today in self._times.items():
            content = content.replace(then, today)
        return content


@pytest.fixture(params=EARLIER)
async def earlier(request: pytest.FixtureRequest, target: Target) -> Earlier:
    return Earlier(request.param, target.base)


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with a_target() as target:
        yield target


@pytest.fixture
def settings(settings: Settings) -> Settings:
    key = json.loads((HERE / f"records-{EARLIER[-1]}.json").read_text())["encryption_key"]
    networks = Settings(allowed_target_networks="127.0.0.0/8").allowed_target_networks
    return settings.model_copy(update={"encryption_key": SecretStr(key), "allowed_target_networks": networks})


class Installation:
    """Every role, on the topics that an earlier version has written to."""

    def __init__(self, settings: Settings, clients: KafkaClients, topics: Topics, vault: Vault, engine: str) -> None:
        self._settings = settings
        self._clients = clients
        self._topics = topics
        self._vault = vault
        self._stack = AsyncExitStack()
        self.clickhouse = ClickHouse(engine, database=a_database())
        self.follower = ConfigFollower(clients, topics, vault)
        self.portal: Portal

    async def write(self, records: list[Written]) -> None:
        async with self._clients.producer() as producer:
            for record in records:
                compacted = record.topic in {"webhooks.config", "portal.resources", "webhooks.audit"}
                await producer.send_and_wait(
                    f"{self._settings.kafka_prefix}{record.topic}",
                    record.value,
                    key=record.key,
                    headers=record.headers,
                    partition=0 if compacted or record.topic == "webhooks.commands" else PARTITION,
                )

    async def start(self) -> None:
        clients, topics, follower = self._clients, self._topics, self.follower
        self._stack.push_async_callback(self.clickhouse.close)
        recorder = Recorder(clients, topics, self.clickhouse)
        await self._start(recorder)
        await follower.start()
        self._stack.push_async_callback(follower.stop)
        self.portal = Portal(self._settings, clients, topics, follower, self._vault, self.clickhouse)
        sender = Sender(self._settings, clients, topics, follower)
        for role in (sender, Relay(clients, topics), Matcher(clients, topics, follower), self.portal):
            await self._start(role)

    async def _start(self, role: Service[object]) -> None:
        await role.start()
        self._stack.push_async_callback(role.stop)

    async def stop(self) -> None:
        await self._stack.aclose()


@pytest.fixture
async def installation(
    settings: Settings, clients: KafkaClients, topics: Topics, earlier: Earlier, engine: str
) -> AsyncIterator[Installation]:
    installation = Installation(settings, clients, topics, earlier.vault, engine)
    yield installation
    await installation.stop()


async def test_what_an_earlier_version_wrote_has_the_same_effect(
    settings: Settings,
    clients: KafkaClients,
    topics: Topics,
    earlier: Earlier,
    installation: Installation,
    target: Target,
) -> None:
    await installation.write(earlier.of("webhooks.config", "portal.", "webhooks.audit", "webhooks.attempts"))
    await installation.write(earlier.of("webhooks.deliveries", "webhooks.parked", "webhooks.retry"))
    await installation.start()

    expected = {("msg_waiting", 1), ("msg_parked", 1), ("msg_retried", 2), ("msg_last", 3)}
    expected.add((earlier.message_of_the_event, 1))
    await eventually(lambda: len(target.received) >= len(expected), timeout=20)
    assert {(each.message_id, each.attempt) for each in target.received} == expected
    for each in target.received:
        body = StandardWebhook(SECRET).verify(each.body, dict(each.headers))
        of_the_event = {"alert": 'Low disk "space"', "of": "Contoso"}
        assert body == (of_the_event if each.message_id == earlier.message_of_the_event else {"of": each.message_id})
        assert (each.path, each.headers["X-Key"]) == ("/wh", "k3y")

    async with aiohttp.ClientSession(base_url=installation.portal.url) as session:
        api = Api(session, a_token(settings))

        async def recorded() -> bool:
            figures = (await api("GET", "/webhooks/wh/metrics")).body
            # What was sent, and msg_made; msg_pending; msg_failed, msg_large.
            told = tuple(figures[name] for name in ("successful", "pending", "in_progress", "failed", "total"))
            assert told == (6, 1, 0, 2, 9)
            return True

        await eventually(recorded, timeout=20)
        shown = {each["id"]: each for each in (await api("GET", "/webhooks")).body["items"]}
        assert shown.keys() == {"wh", "wh-off"}
        assert (shown["wh"]["items"], shown["wh"]["rate_limit"]) == ({"ids": ["alert-1"]}, 50)
        (chosen,) = (await api("GET", "/resources?event_type=active_alert")).body["items"]
        assert (chosen["id"], chosen["name"]) == ("alert-1", "Low disk space")
        (entry,) = (await api("GET", "/webhooks/wh/audit")).body["items"]
        assert (entry["action"], entry["by"]["name"], entry["changed"]) == ("updated", "Ada", ["headers", "rate_limit"])

        await installation.write(earlier.of("webhooks.commands"))
        directory = installation.follower.directory
        await eventually(
            lambda: (off := directory.get("wh-off")) is not None and off.disabled_reason == OFF, timeout=20
        )
        await eventually(lambda: directory.get("wh-fabrikam") is None, timeout=20)
        await eventually(lambda: [each for each in target.received if each.message_id == "msg_failed"], timeout=20)
    assert not [each for each in target.received if each.message_id == "msg_made"]
    assert not await consume_all(clients, topics.dead_letter)
    assert {each.topic for each in earlier.records} == {
        "portal.active-alert",
        "portal.resources",
        *(f"webhooks.{name}" for name in ("attempts", "audit", "commands", "config", "deliveries", "parked")),
        *("webhooks.retry.1s", "webhooks.retry.2s"),
    }


async def test_a_format_of_the_future_is_set_aside_with_its_reason(
    clients: KafkaClients, topics: Topics, earlier: Earlier, installation: Installation, target: Target
) -> None:
    ours = [record for record in earlier.records if record.topic.startswith("webhooks.")]
    later = [after for record in ours if (after := _of_the_next_version(record)) is not None]
    await installation.write(later)
    await installation.start()
    prefix = len(topics.deliveries.removesuffix("webhooks.deliveries"))

    async def reasons() -> dict[str, set[str]]:
        letters = await consume_all(clients, topics.dead_letter)
        assert len(letters) >= len(later)
        found: dict[str, set[str]] = {}
        for letter in letters:
            headers = {name: value.decode() for name, value in letter.headers}
            found.setdefault(headers["dead-letter-topic"][prefix:], set()).add(headers["dead-letter-reason"])
        return found

    deliveries = {"deliveries of format b'2' are not read by this version"}
    found = await eventually(reasons, timeout=20)
    assert found.pop("webhooks.commands") == {
        f"not a command of this version: {command}.v" for command in ("disable", "erase", "recover")
    }
    assert found == {
        # The relay hands on what comes due; it is the sender that judges it.
        "webhooks.deliveries": deliveries,
        "webhooks.parked": deliveries,
        "webhooks.attempts": {"outcomes of format b'2' are not read by this version"},
        "webhooks.config": {"changes of format b'2' are not read by this version"},
        "webhooks.audit": {"not an entry of the audit of this version: v"},
    }
    assert not target.received


def _of_the_next_version(record: Written) -> Written | None:
    """The record as a version would write it that counts on: a 2 in the place of a 1."""
    if record.topic in {"webhooks.commands", "webhooks.audit"}:
        assert record.value is not None
        value = json.dumps({**json.loads(record.value), "v": 2}).encode()
        return Written(record.topic, record.key, value, record.headers)
    if "v" not in dict(record.headers):
        return None
    headers = [(name, b"2" if name == "v" else value) for name, value in record.headers]
    return Written(record.topic, record.key, record.value, headers)
