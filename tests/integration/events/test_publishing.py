import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from dispatcher.errors import ConfigurationError, KafkaUnavailable
from dispatcher.events.lines import Line
from dispatcher.events.publishing import Publication, Publisher, PublishingBroken, open_producer
from dispatcher.events.resources import Resources
from dispatcher.events.simulator.portal import Portal
from dispatcher.events.simulator.running import simulate
from dispatcher.events.types import EventType
from dispatcher.kafka.clients import MAX_RECORD_BYTES, KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.settings import load_settings
from tests.support.kafka import consume_all

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)


def _event(size: int | None = None) -> bytes:
    """An alert's event, of a size in bytes if one is given."""
    envelope: dict[str, Any] = {
        "specversion": "1.0",
        "id": "1",
        "source": "/p",
        "type": "active_alert",
        "data": {"organization_id": "org-1", "alert_information": ""},
    }
    if size is not None:
        envelope["data"]["alert_information"] = "x" * (size - len(orjson.dumps(envelope)))
    return orjson.dumps(envelope)


async def _publish(clients: KafkaClients, topics: Topics, *lines: bytes | None) -> tuple[Publication, dict[int, str]]:
    async def numbered() -> AsyncIterator[Line]:
        for number, content in enumerate(lines, 1):
            yield Line(number, content)

    rejected: dict[int, str] = {}
    async with open_producer(clients, topics.events.values()) as producer:
        publisher = Publisher(producer, topics, Publication(), rejected.__setitem__)
        return await publisher.publish(numbered()), rejected


async def test_events_go_to_their_topics_as_they_stand(clients: KafkaClients, topics: Topics) -> None:
    portal = Portal(3)
    events = [portal.next_event(NOW) for _ in range(200)]
    lines = [json.dumps(event.envelope, indent=None).encode() for event in events]
    publication, rejected = await _publish(clients, topics, *lines)
    assert publication == Publication(published=200, rejected=0)
    assert not rejected
    for event_type in EventType:
        records = await consume_all(clients, topics.events[event_type])
        expected = [
            (event.organization_id.encode(), line)
            for event, line in zip(events, lines, strict=True)
            if event.event_type is event_type
        ]
        assert sorted((record.key, record.value) for record in records) == sorted(expected)
        for organization_id in {key for key, _ in expected}:
            in_order = [record.value for record in records if record.key == organization_id]
            assert in_order == [line for key, line in expected if key == organization_id]


async def test_operations_that_lose_devices_are_published_and_named(clients: KafkaClients, topics: Topics) -> None:
    envelope = {"specversion": "1.0", "id": "1", "source": "/p", "type": "operation_executed"}
    data = {"organization_id": "org-1", "workspaces": [{"workspace_id": "ws-1"}, {}]}
    lines = [
        orjson.dumps({**envelope, "data": {**data, "operation_id": "op-1"}}),
        orjson.dumps({**envelope, "data": {**data, "operation_id": "op-1", "workspaces": []}}),
        orjson.dumps({**envelope, "data": data}),
    ]
    publication, named = await _publish(clients, topics, *lines)
    assert publication == Publication(published=3, rejected=0, incomplete=2)
    assert named.keys() == {1, 3}
    assert named[1].startswith("published, but incomplete: data.workspaces[1].workspace_id is missing; ")
    assert named[3].startswith("published, but incomplete: data.operation_id is missing; ")
    records = await consume_all(clients, topics.events[EventType.OPERATION_EXECUTED])
    assert sorted(record.value for record in records) == sorted(lines)


async def test_bad_lines_are_named_and_the_others_published(clients: KafkaClients, topics: Topics) -> None:
    publication, rejected = await _publish(clients, topics, b"{", _event(), b"{}", None, _event())
    assert publication == Publication(published=2, rejected=3)
    assert list(rejected) == [1, 3, 4]
    assert "not JSON" in rejected[1]
    assert "specversion is missing" in rejected[3]
    assert "8 MiB" in rejected[4]


async def test_events_up_to_the_largest_record(clients: KafkaClients, topics: Topics) -> None:
    publication, rejected = await _publish(clients, topics, _event(MAX_RECORD_BYTES), _event())
    assert (publication.published, rejected) == (2, {})


async def test_what_kafka_finds_too_large_is_a_bad_line(clients: KafkaClients, topics: Topics) -> None:
    publication, rejected = await _publish(clients, topics, _event(MAX_RECORD_BYTES + 100_000), _event())
    assert publication == Publication(published=1, rejected=1)
    assert "8 MiB" in rejected[1]


async def test_topics_that_do_not_exist(clients: KafkaClients) -> None:
    with pytest.raises(ConfigurationError, match="nowhere; create them with: dispatcher topics apply"):
        async with open_producer(clients, ["nowhere"]):
            pass


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Accepts connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


async def test_a_kafka_that_does_not_answer(silent_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.events.publishing.PATIENCE_SECONDS", 0.2)
    clients = KafkaClients(load_settings(kafka_bootstrap_servers=silent_server))
    async with asyncio.timeout(5):
        with pytest.raises(KafkaUnavailable, match="does not answer"):
            async with open_producer(clients, []):
                pass


async def test_a_kafka_that_is_not_there() -> None:
    clients = KafkaClients(load_settings(kafka_bootstrap_servers="127.0.0.1:1"))
    with pytest.raises(KafkaUnavailable, match="does not answer"):
        async with open_producer(clients, []):
            pass


async def test_a_topic_that_goes_away(clients: KafkaClients, topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.events.publishing.PATIENCE_SECONDS", 0.5)
    topics.events[EventType.ACTIVE_ALERT] = f"{topics.prefix}nowhere"
    async with open_producer(clients, []) as producer:
        publisher = Publisher(producer, topics, Publication(), lambda _, __: None)

        async def lines() -> AsyncIterator[Line]:
            yield Line(1, _event())

        with pytest.raises(PublishingBroken, match="0 had been published"):
            await publisher.publish(lines())


async def test_the_simulator_publishes_resources_and_then_events(clients: KafkaClients, topics: Topics) -> None:
    async with open_producer(clients, [*topics.events.values(), topics.resources]) as producer:
        published = await simulate(
            producer, topics, Portal(7), rate=None, count=300, stop=asyncio.Event(), clock=lambda: NOW
        )
    assert published.total() == 300
    resources = Resources()
    for record in await consume_all(clients, topics.resources):
        resources.apply(record.key, record.value)
    assert len(resources) == len(list(Portal(7).resources()))
    again = Portal(7)
    expected = [again.next_event(NOW) for _ in range(300)]
    for event_type, topic in topics.events.items():
        records = await consume_all(clients, topic)
        assert len(records) == published[event_type]
        ids = {each.envelope["id"] for each in expected if each.event_type is event_type}
        assert {json.loads(record.value)["id"] for record in records} == ids


async def test_the_simulator_stops_when_asked(clients: KafkaClients, topics: Topics) -> None:
    stop = asyncio.Event()
    first: asyncio.Event = asyncio.Event()

    def clock() -> datetime:
        first.set()
        return NOW

    async with open_producer(clients, [*topics.events.values(), topics.resources]) as producer:
        running = asyncio.create_task(
            simulate(producer, topics, Portal(7), rate=0.001, count=None, stop=stop, clock=clock)
        )
        async with asyncio.timeout(10):
            await first.wait()
            stop.set()
            assert (await running).total() == 1
