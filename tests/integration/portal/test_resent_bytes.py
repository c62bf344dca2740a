"""A message that is sent again, through all roles: the bytes of the first time, whatever its webhook is by now."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import orjson
import pytest
from aiohttp import web

from dispatcher.delivery.relay import Relay
from dispatcher.delivery.sender import Sender
from dispatcher.events.types import EventType
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.matching.matcher import Matcher
from dispatcher.recording.batches import BatchPolicy
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.recorder import Recorder
from dispatcher.settings import Settings
from dispatcher.webhooks.follower import ConfigFollower
from tests.support.kafka import MakeTopics
from tests.support.portal import ORGANIZATION, Api
from tests.support.target import Received, Target, a_target, answer, fail_first
from tests.support.waiting import eventually

EVENT = orjson.dumps(
    {
        "specversion": "1.0",
        "id": "1",
        "source": "/portal/alerts",
        "type": "active_alert",
        "time": "2026-11-23T10:15:04.120Z",
        "data": {"organization_id": ORGANIZATION, "alert_id": "alert-1", "alert_name": 'Ñandú "72"\u2028 é\n'},
    }
)
TEMPLATE = {"z": "«#alert_name» of #organization_id", "a": [1.0, "#timestamp"], "#event_type": None}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"request_timeout": timedelta(minutes=1)})


@pytest.fixture
async def topics(make_topics: MakeTopics) -> Topics:
    return await make_topics(("0s", "1s"))


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with a_target() as target:
        yield target


@pytest.fixture
async def roles(
    settings: Settings, clients: KafkaClients, topics: Topics, follower: ConfigFollower, clickhouse: ClickHouse
) -> AsyncIterator[None]:
    """All but the portal."""
    async with AsyncExitStack() as stack:
        for role in (
            Recorder(clients, topics, clickhouse, policy=BatchPolicy(linger=0.02, interval=0.02)),
            Relay(clients, topics),
            Sender(settings, clients, topics, follower),
            Matcher(clients, topics, follower),
        ):
            await role.start()
            stack.push_async_callback(role.stop)
        yield


@pytest.mark.usefixtures("roles")
async def test_runs_of_a_message(
    api: Api, target: Target, clients: KafkaClients, topics: Topics, clickhouse: ClickHouse
) -> None:
    id = (await api.create(target_url=target.url("old", answer(500)), payload_template=TEMPLATE))["id"]
    await api("POST", f"/webhooks/{id}/enable")

    async def shows(successful: int, failed: int, *attempts: tuple[int, int, str]) -> None:
        """Wait until the API counts so, and lists these attempts (run, number, status), the latest first."""

        async def shown() -> bool:
            metrics = (await api("GET", f"/webhooks/{id}/metrics")).body
            assert (metrics["successful"], metrics["failed"], metrics["total"]) == (successful, failed, 1)
            listed = (await api("GET", f"/webhooks/{id}/attempts")).body["items"]
            assert [(each["run"], each["attempt"], each["status"]) for each in listed] == list(attempts)
            return True

        await eventually(shown, timeout=20)

    answers = asyncio.Event()

    async def fail_and_wait(received: Received) -> web.StreamResponse:
        if received.attempt > 1:
            await answers.wait()
        return await fail_first(1)(received)

    async with clients.producer() as producer:
        await producer.send_and_wait(topics.events[EventType.ACTIVE_ALERT], EVENT, key=ORGANIZATION.encode())
    first = [(1, 2, "failed"), (1, 1, "failed")]
    await shows(0, 1, *first)
    sent = target.at("old")[0]
    changed = await api(
        "PATCH",
        f"/webhooks/{id}",
        {"payload_template": {"other": "#alert_name"}, "target_url": target.url("new", fail_and_wait)},
    )
    assert changed.status == 200, changed
    # Published again, the event is rendered otherwise; it is not sent, but recorded.
    async with clients.producer() as producer:
        await producer.send_and_wait(topics.events[EventType.ACTIVE_ALERT], EVENT, key=ORGANIZATION.encode())
    await eventually(lambda: rendered_otherwise(clickhouse))
    await clickhouse.command("OPTIMIZE TABLE message_bodies FINAL")
    again = f"/webhooks/{id}/messages/{sent.message_id}/resend"
    assert (await api("POST", again)).body == {"message_id": sent.message_id, "run": 2}
    await shows(0, 0, (2, 2, "in_progress"), (2, 1, "failed"), *first)
    answers.set()
    second = [(2, 2, "successful"), (2, 1, "failed"), *first]
    await shows(1, 0, *second)

    target.url("new", answer(500))
    assert (await api("POST", again)).body["run"] == 3
    await shows(1, 0, (3, 2, "failed"), (3, 1, "failed"), *second)
    assert [each.attempt for each in target.at("old")] == [1, 2]
    assert [each.attempt for each in target.at("new")] == [1, 2, 1, 2]
    assert orjson.loads(sent.body)["a"] == [1.0, "2026-11-23T10:15:04.120Z"]
    assert {(each.message_id, each.body) for each in target.received} == {(sent.message_id, sent.body)}
    assert await counted(clickhouse) == {"status": "successful", "runs": 3, "attempts": 6, "good": 1, "bad": 0}


async def rendered_otherwise(clickhouse: ClickHouse) -> bool:
    """Whether ClickHouse has what the later template makes of the event."""
    return bool(await clickhouse.query("SELECT 1 FROM message_bodies WHERE startsWith(body, '{\"other\"')"))


async def counted(clickhouse: ClickHouse) -> dict[str, Any]:
    """The only message as analysts see it, and the messages of its hours."""
    [message] = await clickhouse.query("SELECT status, runs, attempts FROM messages")
    [rate] = await clickhouse.query("SELECT sum(successful) AS good, sum(failed) AS bad FROM success_rate_hourly")
    return {**message, **rate}
