"""Erasing an organization beside a running portal and recorder: everything goes, nothing comes back, others stay."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from dispatcher.delivery.outcome import encode_outcome
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.organizations.erasing import NobodyAnswers, erase
from dispatcher.recording.batches import BatchPolicy
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.erasing import TABLES
from dispatcher.recording.recorder import Recorder
from dispatcher.settings import PREFIX, Settings
from dispatcher.webhooks.webhook import DISPATCHER
from tests.support.clickhouse import ON_A_SERVER_TOO, delivery, outcome
from tests.support.kafka import consume_all
from tests.support.portal import ORGANIZATION, OTHER_ORGANIZATION, Api
from tests.support.waiting import eventually

NOW = int(datetime.now(UTC).timestamp() * 1000)


@pytest.fixture
async def recorder(clients: KafkaClients, topics: Topics, clickhouse: ClickHouse) -> AsyncIterator[Recorder]:
    recorder = Recorder(clients, topics, clickhouse, policy=BatchPolicy(linger=0.02, interval=0.02))
    await recorder.start()
    yield recorder
    await recorder.stop()


async def report(clients: KafkaClients, topics: Topics, organization: str, webhook_id: str, message_id: str) -> None:
    """A delivery that waits, and an outcome."""
    about: dict[str, Any] = {"organization_id": organization, "webhook_id": webhook_id}
    made = delivery(message_id, NOW - 5_000)
    headers = [(name, organization.encode() if name == "organization" else value) for name, value in made.headers()]
    async with clients.producer() as producer:
        await producer.send_and_wait(topics.deliveries, made.body, key=webhook_id.encode(), headers=headers)
        row = encode_outcome(outcome(message_id, 1, "successful", at=NOW, **about, request_url="https://t.test/"))
        await producer.send_and_wait(topics.attempts, row, key=webhook_id.encode())


async def recorded(clickhouse: ClickHouse) -> set[tuple[str, str]]:
    """Which organizations have rows, and in which tables."""
    return {
        (table, row["who"])
        for table in TABLES
        for row in await clickhouse.query(f"SELECT DISTINCT organization_id AS who FROM {table}")
    }


def everywhere(*organizations: str) -> set[tuple[str, str]]:
    return {(table, who) for table in TABLES for who in organizations}


@ON_A_SERVER_TOO
async def test_everything_goes_and_nothing_comes_back(
    api: Api, recorder: Recorder, clients: KafkaClients, topics: Topics, clickhouse: ClickHouse
) -> None:
    other = Api(api.session, api.token, OTHER_ORGANIZATION)
    webhooks = [await api.create(target_url=f"https://{n}.example/") for n in range(3)]
    others = await other.create()
    for n, webhook in enumerate(webhooks):
        await report(clients, topics, ORGANIZATION, webhook["id"], f"m{n}")
    await report(clients, topics, OTHER_ORGANIZATION, others["id"], "theirs")
    async with clients.producer() as producer:
        for id, value in (("a", b"nonsense"), ("b", b"nonsense"), ("b", None)):
            await producer.send_and_wait(topics.resources, value, key=f"{ORGANIZATION}/alert/{id}".encode())
        await producer.send_and_wait(topics.resources, b"nonsense", key=f"{OTHER_ORGANIZATION}/alert/a".encode())

    async def all_recorded() -> bool:
        return await recorded(clickhouse) == everywhere(ORGANIZATION, OTHER_ORGANIZATION)

    await eventually(all_recorded)
    erased = await erase(clients, topics, ORGANIZATION, within=20)
    assert erased == {"webhooks": 3, "resources": 1, "messages": 3, "undecipherable": 0}
    assert (await api("GET", "/webhooks")).body["items"] == []
    assert len((await other("GET", "/webhooks")).body["items"]) == 1
    [entry] = (await api("GET", "/audit")).body["items"]
    assert (entry["action"], entry["by"]["id"], entry["webhook"]) == ("deleted", DISPATCHER.id, None)
    assert [each["action"] for each in (await other("GET", "/audit")).body["items"]] == ["created"]
    assert await recorded(clickhouse) == everywhere(OTHER_ORGANIZATION)
    for topic, keys in (
        (topics.config, {one["id"] for one in webhooks}),
        (topics.resources, {f"{ORGANIZATION}/alert/a"}),
    ):
        last = {record.key.decode(): record.value for record in await consume_all(clients, topic)}
        assert {key for key, value in last.items() if value is None} >= keys

    # What was on its way is reported late, before something of somebody else's: it is not recorded.
    await report(clients, topics, ORGANIZATION, webhooks[0]["id"], "late")
    await report(clients, topics, OTHER_ORGANIZATION, others["id"], "later")

    async def both_known() -> bool:
        rows = await clickhouse.query("SELECT message_id, status FROM messages ORDER BY message_id")
        return [(row["message_id"], row["status"]) for row in rows] == [
            ("later", "successful"),
            ("theirs", "successful"),
        ]

    await eventually(both_known)
    assert await erase(clients, topics, ORGANIZATION, within=20) == {
        "webhooks": 0, "resources": 0, "messages": 0, "undecipherable": 0,
    }  # fmt: skip
    # The same id may be used again by a customer who returns.
    again = await api.create()
    await report(clients, topics, ORGANIZATION, again["id"], "new")

    async def recorded_again() -> bool:
        return await recorded(clickhouse) == everywhere(ORGANIZATION, OTHER_ORGANIZATION)

    await eventually(recorded_again)


async def test_a_webhook_that_was_deleted_before_is_not_recorded_afterwards(
    api: Api, recorder: Recorder, clients: KafkaClients, topics: Topics, clickhouse: ClickHouse
) -> None:
    other = Api(api.session, api.token, OTHER_ORGANIZATION)
    deleted, others = (await api.create())["id"], (await other.create())["id"]
    for one, id in ((api, deleted), (other, others)):
        assert (await one("DELETE", f"/webhooks/{id}")).status == 204
    assert (await erase(clients, topics, ORGANIZATION, within=20))["webhooks"] == 0
    # The recorder was behind: what had been sent for them is recorded only now.
    await report(clients, topics, ORGANIZATION, deleted, "late")
    await report(clients, topics, OTHER_ORGANIZATION, others, "theirs")
    again = (await api.create())["id"]
    await report(clients, topics, ORGANIZATION, again, "new")

    async def webhooks() -> list[set[str]]:
        rows = [await clickhouse.query(f"SELECT DISTINCT webhook_id FROM {table}") for table in TABLES]
        return [{row["webhook_id"] for row in each} for each in rows]

    async def later_ones_recorded() -> bool:
        return all(ids >= {others, again} for ids in await webhooks())

    await eventually(later_ones_recorded)
    assert await webhooks() == [{others, again}] * len(TABLES)


async def test_without_a_portal_the_request_stands(clients: KafkaClients, topics: Topics) -> None:
    with pytest.raises(NobodyAnswers, match=r"stays in .*webhooks\.commands"):
        await erase(clients, topics, ORGANIZATION, within=0.2)
    (record,) = await consume_all(clients, topics.commands)
    assert orjson.loads(record.value)["organization_id"] == ORGANIZATION


async def command(settings: Settings, *arguments: str) -> tuple[int | None, str, str]:
    """In a process of its own: the portal in this one writes its logs to the standard output."""
    environment = {
        **os.environ,
        f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers or "",
        f"{PREFIX}KAFKA_PREFIX": settings.kafka_prefix,
        f"{PREFIX}TOPICS_FILE": str(settings.topics_file),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dispatcher", "organizations", "remove", *arguments),
        stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@ON_A_SERVER_TOO
async def test_the_command(api: Api, settings: Settings) -> None:
    await api.create()
    status, out, _ = await command(settings, f"{'x' * 250}\t", "--json")
    assert (status, json.loads(out)["organization_id"]) == (0, f"{'x' * 250}\t")
    status, out, _ = await command(settings, ORGANIZATION, "--yes", "--json")
    assert status == 0
    told = json.loads(out)
    assert (told["organization_id"], told["webhooks"], told["messages"]) == (ORGANIZATION, 1, 0)
    assert {store["name"].removeprefix(settings.kafka_prefix) for store in told["stores"]} >= {
        "webhooks.config", "webhooks.audit", "ClickHouse",
    }  # fmt: skip
    status, out, _ = await command(settings, ORGANIZATION, "--yes")
    assert (status, out) == (0, f"There was nothing of {ORGANIZATION}.\n")
    await api.create()
    status, out, _ = await command(settings, ORGANIZATION, "--yes")
    assert f"{ORGANIZATION} is erased: 1 webhook, 0 resources, 0 messages." in out
    assert "by compaction" in out
