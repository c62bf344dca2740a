import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from structlog.testing import capture_logs

from dispatcher.errors import KafkaUnavailable
from dispatcher.events.types import DESCRIPTIONS, EventType
from dispatcher.kafka.administration import connected
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics, load_topics
from dispatcher.matching.matcher import Follower, Matcher
from dispatcher.matching.message_id import message_of_device, message_of_event
from dispatcher.matching.outbox import Outbox
from dispatcher.settings import default_topics_file, load_settings
from dispatcher.webhooks.directory import Directory
from dispatcher.webhooks.webhook import Webhook
from tests.support.matching import ORGANIZATION, Fixed, Reader, a_webhook, an_event, following, publish
from tests.support.waiting import eventually

ALERTS = EventType.ACTIVE_ALERT


@asynccontextmanager
async def matching(clients: KafkaClients, topics: Topics, follower: Follower) -> AsyncIterator[Matcher]:
    matcher = Matcher(clients, topics, follower)
    async with asyncio.timeout(30):
        await matcher.start()
    try:
        yield matcher
    finally:
        async with asyncio.timeout(15):
            await matcher.stop()


async def test_every_type_of_event_reaches_its_webhook(clients: KafkaClients, topics: Topics) -> None:
    follower = following(*(a_webhook(each, id=f"wh-{each}") for each in EventType))
    async with matching(clients, topics, follower), Reader(clients, topics.deliveries, topics.bulk) as deliveries:
        for each in EventType:
            await publish(clients, topics.events[each], [an_event(each)])
        await deliveries.until(len(EventType))
    by_type = {delivery.event_type: delivery for delivery in deliveries.deliveries}
    assert set(by_type) == set(EventType)
    for event_type, delivery in by_type.items():
        assert delivery.webhook_id == f"wh-{event_type}"
        assert delivery.organization_id == ORGANIZATION
        assert (delivery.run, delivery.attempt, delivery.config_offset) == (1, 1, 7)
        assert json.loads(delivery.body)["type"] == DESCRIPTIONS[event_type].display_name
    alert = by_type[ALERTS]
    assert alert.message_id == message_of_event(f"wh-{ALERTS}", f"/portal/{ALERTS}", "event-1")
    record = next(each for each in deliveries.records if each.key == f"wh-{ALERTS}".encode())
    assert 0 <= record.timestamp - alert.message_created_on < 60_000


async def test_records_go_where_the_default_partitioner_sends_their_webhook(
    clients: KafkaClients, topics: Topics
) -> None:
    webhooks = [a_webhook(ALERTS, id=f"wh-{number}") for number in range(30)]
    async with (
        matching(clients, topics, following(*webhooks)),
        Reader(clients, topics.deliveries, topics.bulk) as deliveries,
        clients.producer() as producer,
    ):
        await publish(clients, topics.events[ALERTS], [an_event(ALERTS)])
        await deliveries.until(len(webhooks))
        for record in list(deliveries.records):
            sent = await producer.send_and_wait(topics.deliveries, b"{}", key=record.key)
            assert record.partition == sent.partition


async def test_what_cannot_be_read_is_set_aside_and_the_rest_flows(clients: KafkaClients, topics: Topics) -> None:
    follower = following(a_webhook(ALERTS))
    good = [an_event(ALERTS, id=f"event-{number}") for number in range(20)]
    bad = [b"no JSON", b"{}", an_event(EventType.OBJECT_CREATED), b"", None]
    async with (
        matching(clients, topics, follower),
        Reader(clients, topics.deliveries, topics.bulk) as deliveries,
        Reader(clients, topics.dead_letter) as letters,
        clients.producer() as producer,
    ):
        topic = topics.events[ALERTS]
        for value in [*good[:10], *bad, *good[10:]]:
            await producer.send_and_wait(topic, value, key=b"org-1", headers=[("trace", b"1")])
        await deliveries.until(len(good))
        await letters.until(len(bad))
    assert sorted(each.value or b"" for each in letters.records) == sorted(each or b"" for each in bad)
    for record in letters.records:
        headers = dict(record.headers)
        assert record.key == b"org-1"
        assert headers["trace"] == b"1"
        assert headers["dead-letter-topic"] == topic.encode()
        assert headers["dead-letter-reason"]
        assert int(headers["dead-letter-time"]) > 0
    assert {int(dict(each.headers)["dead-letter-offset"]) for each in letters.records} == set(range(10, 15))


async def test_identifiers_that_no_record_can_hold_keep_nothing_from_flowing(
    clients: KafkaClients, topics: Topics
) -> None:
    devices, long = EventType.OPERATION_EXECUTED_IN_WORKSPACE, "w" * 9_000_000
    webhooks = [a_webhook(each, id=f"wh-{each}", payload_template={"of": "#event_type"}) for each in (ALERTS, devices)]
    async with (
        matching(clients, topics, following(*webhooks)),
        Reader(clients, topics.deliveries) as deliveries,
        Reader(clients, topics.dead_letter) as letters,
        clients.producer(compression_type="gzip", max_request_size=2 * len(long)) as producer,
    ):
        for event_type, id in ((devices, long), (ALERTS, long), (devices, "ws-1")):
            await producer.send_and_wait(topics.events[event_type], an_event(event_type, workspace_id=id))
        async with asyncio.timeout(20):
            await letters.until(1)
            await deliveries.until(2)
    assert b"data.workspace_id has 9000000 characters" in dict(letters.records[0].headers)["dead-letter-reason"]
    assert {(each.event_type, each.workspace_id) for each in deliveries.deliveries} == {(ALERTS, ""), (devices, "ws-1")}


async def test_an_error_of_ours_sets_the_record_aside_and_the_rest_flows(clients: KafkaClients, topics: Topics) -> None:
    class Broken(Directory):
        def wanting(self, organization_id: str, event_type: EventType) -> Sequence[Webhook]:
            if organization_id == "org-broken":
                raise LookupError("a bug")
            return super().wanting(organization_id, event_type)

    broken = Broken()
    broken.apply(0, "wh-1", a_webhook(ALERTS), revision=1, base=0)

    async with (
        matching(clients, topics, Fixed(broken)),
        Reader(clients, topics.deliveries, topics.bulk) as deliveries,
        Reader(clients, topics.dead_letter) as letters,
    ):
        values = [an_event(ALERTS, organization_id="org-broken"), an_event(ALERTS)]
        with capture_logs() as logs:
            await publish(clients, topics.events[ALERTS], values, spread=False)
            await deliveries.until(1)
            await letters.until(1)
    assert b"a bug" in dict(letters.records[0].headers)["dead-letter-reason"]
    assert "an event cannot be matched" in [each["event"] for each in logs]


async def test_a_device_without_an_id_costs_neither_the_operation_nor_its_other_devices(
    clients: KafkaClients, topics: Topics
) -> None:
    operations, devices = EventType.OPERATION_EXECUTED, EventType.OPERATION_EXECUTED_IN_WORKSPACE
    async with (
        matching(clients, topics, following(a_webhook(operations, id="wh-o"), a_webhook(devices, id="wh-d"))),
        Reader(clients, topics.deliveries, topics.bulk) as deliveries,
        Reader(clients, topics.dead_letter) as letters,
    ):
        event = an_event(operations, workspaces=[{"workspace_id": "ws-1"}, None, {"workspace_name": "LT-0042"}])
        await publish(clients, topics.events[operations], [event])
        await deliveries.until(2)
        await letters.until(1)
    assert {record.key for record in deliveries.records} == {b"wh-o", b"wh-d"}
    reason = dict(letters.records[0].headers)["dead-letter-reason"].decode()
    assert "data.workspaces[1] is not an object, data.workspaces[2].workspace_id is missing" in reason
    assert letters.records[0].value == event


async def test_a_message_that_is_too_large_has_failed(clients: KafkaClients, topics: Topics) -> None:
    small = a_webhook(ALERTS, id="wh-small", payload_template={"name": "#alert_name"})
    large = a_webhook(ALERTS, id="wh-large", payload_template={"all": "#alert_information"})
    with capture_logs() as logs:
        async with (
            matching(clients, topics, following(large, small)),
            Reader(clients, topics.deliveries, topics.bulk) as deliveries,
            Reader(clients, topics.attempts) as attempts,
            Reader(clients, topics.notices) as notices,
        ):
            event = an_event(ALERTS, alert_name="Disk full", alert_information="x" * 312 * 1024)
            await publish(clients, topics.events[ALERTS], [event])
            await deliveries.until(1)
            await attempts.until(1)
            await notices.until(1)
            assert await deliveries.take() == 1
    (line,) = [each for each in logs if each["event"] == "attempt failed"]
    assert (line["webhook_id"], line["error"][:28]) == ("wh-large", "the rendered message is 313 ")
    assert deliveries.deliveries[0].webhook_id == "wh-small"
    outcome = json.loads(attempts.records[0].value)
    assert outcome["webhook_id"] == "wh-large"
    assert outcome["status"] == "failed"
    assert outcome["error"] == "the rendered message is 313 KiB; at most 256 KiB are sent"
    assert outcome["next_attempt_at"] is None
    assert outcome["executed_on"] >= outcome["message_created_on"] - 60_000
    assert outcome["target_host"] == "target.example"
    assert notices.records[0].key == b"wh-large"
    notice = json.loads(notices.records[0].value)
    assert (notice["type"], notice["id"]) == ("message_failed", f"{outcome['message_id']}-1-failed")
    assert notice["data"]["reason"] == "too_large"
    assert notice["data"]["error"] == outcome["error"]


async def test_a_message_that_its_topic_does_not_take_keeps_no_other_from_flowing(
    clients: KafkaClients, topics: Topics
) -> None:
    async with connected(clients) as admin:
        limit = ConfigResource(ConfigResourceType.TOPIC, topics.deliveries, {"max.message.bytes": "100000"})
        await admin.alter_configs([limit])
    webhook = a_webhook(ALERTS, payload_template={"name": "#alert_name"})
    async with (
        matching(clients, topics, following(webhook)),
        Reader(clients, topics.deliveries) as deliveries,
        Reader(clients, topics.dead_letter) as letters,
    ):
        large, small = (
            an_event(ALERTS, alert_name="x" * 150_000),
            an_event(ALERTS, id="event-2", alert_name="Disk full"),
        )
        await publish(clients, topics.events[ALERTS], [large, small], spread=False)
        async with asyncio.timeout(20):
            await letters.until(1)
            await deliveries.until(1)
    (letter,) = letters.records
    assert letter.value == large
    assert f"bytes, more than {topics.deliveries} takes" in dict(letter.headers)["dead-letter-reason"].decode()
    assert json.loads(deliveries.deliveries[0].body) == {"name": "Disk full"}


async def test_an_operation_on_ten_thousand_devices(clients: KafkaClients, topics: Topics) -> None:
    in_workspace = EventType.OPERATION_EXECUTED_IN_WORKSPACE
    webhooks = [a_webhook(in_workspace, id=f"wh-{number}") for number in range(2)]
    webhooks.append(a_webhook(EventType.OPERATION_EXECUTED, id="wh-whole"))
    devices = [{"workspace_id": f"ws-{number}", "workspace_name": "L" * 350} for number in range(10_000)]
    event = an_event(EventType.OPERATION_EXECUTED, workspaces=devices)
    assert len(event) > 3_900_000
    async with (
        matching(clients, topics, following(*webhooks)),
        Reader(clients, topics.deliveries, topics.bulk) as deliveries,
    ):
        await publish(clients, topics.events[EventType.OPERATION_EXECUTED], [event])
        async with asyncio.timeout(60):
            await deliveries.until(20_001)
        assert await deliveries.take() == 20_001
    expected = {
        message_of_device(f"wh-{number}", ORGANIZATION, "op-81", f"ws-{device}")
        for number in range(2)
        for device in range(10_000)
    }
    expected.add(message_of_event("wh-whole", f"/portal/{EventType.OPERATION_EXECUTED}", "event-1"))
    assert {each.message_id for each in deliveries.deliveries} == expected


async def test_of_more_large_operations_than_are_matched_at_once_none_is_left_out(
    clients: KafkaClients, topics: Topics
) -> None:
    in_workspace, executed = EventType.OPERATION_EXECUTED_IN_WORKSPACE, EventType.OPERATION_EXECUTED
    large, devices = 8, 500
    fleet = [{"workspace_id": f"ws-{number}"} for number in range(devices)]
    events = [
        an_event(executed, id=f"e-{number}", operation_id=f"op-{number}", workspaces=fleet) for number in range(large)
    ]
    async with Reader(clients, topics.deliveries, topics.bulk) as deliveries:
        await publish(clients, topics.events[executed], [*events, an_event(executed, id="small")], spread=False)
        webhooks = a_webhook(in_workspace), a_webhook(executed, id="wh-whole")
        async with matching(clients, topics, following(*webhooks)), asyncio.timeout(60):
            await deliveries.until(large * devices + large + 1)
        assert await deliveries.take() == large * devices + large + 1
    assert len({each.message_id for each in deliveries.deliveries}) == large * devices + large + 1


@dataclass
class PartlyUnread:
    """A follower that may not be able to read some webhooks, and knows how often it was asked."""

    directory: Directory
    lost: tuple[str, ...] = ()
    asked: int = 0

    @property
    def unknown(self) -> tuple[str, ...]:
        self.asked += 1
        return self.lost

    async def asked_twice(self) -> None:
        before = self.asked
        await eventually(lambda: self.asked >= before + 2)


async def test_events_wait_while_a_webhook_that_may_want_them_cannot_be_read(
    clients: KafkaClients, topics: Topics
) -> None:
    follower = PartlyUnread(following(a_webhook(ALERTS)).directory, lost=("wh-lost",))
    async with Reader(clients, topics.deliveries, topics.bulk) as deliveries:
        with capture_logs() as logs:
            await publish(clients, topics.events[ALERTS], [an_event(ALERTS, id="at the start")])
            async with matching(clients, topics, follower):
                for number in (1, 2):
                    await follower.asked_twice()
                    assert await deliveries.take(500) == number - 1
                    follower.lost = ()
                    async with asyncio.timeout(20):
                        await deliveries.until(number)
                    follower.lost = ("wh-lost",)
                    await follower.asked_twice()
                    await publish(clients, topics.events[ALERTS], [an_event(ALERTS, id=f"later {number}")])
        assert await deliveries.take() == 2
        follower.lost = ()
        async with matching(clients, topics, follower), asyncio.timeout(20):
            await deliveries.until(3)
    assert len({each.message_id for each in deliveries.deliveries}) == 3
    held = [each for each in logs if each["log_level"] == "error" and "no event is matched" in each["event"]]
    assert [(each["webhooks"], each["for_instance"]) for each in held] == [(1, "wh-lost")] * 3


async def test_no_broker_is_an_error_that_says_so() -> None:
    clients = KafkaClients(load_settings(kafka_bootstrap_servers="127.0.0.1:1"))
    topics = load_topics(default_topics_file())
    matcher = Matcher(clients, topics, following())
    with pytest.raises(KafkaUnavailable, match=r"127\.0\.0\.1:1"):
        await matcher.start()
    await matcher.stop()


async def test_what_ends_the_matcher_is_raised_and_its_event_is_not_acknowledged(
    clients: KafkaClients, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LookupError("a bug")

    async with Reader(clients, topics.deliveries, topics.bulk) as deliveries:
        with monkeypatch.context() as patch:
            patch.setattr(Outbox, "done", fail)
            async with matching(clients, topics, following(a_webhook(ALERTS))) as matcher:
                await publish(clients, topics.events[ALERTS], [an_event(ALERTS)])
                with pytest.raises(LookupError, match="a bug"):
                    async with asyncio.timeout(20):
                        await matcher.wait()
        seen = await deliveries.take()
        async with matching(clients, topics, following(a_webhook(ALERTS))):
            await deliveries.until(seen + 1)


async def test_waiting_ends_with_a_stop(clients: KafkaClients, topics: Topics) -> None:
    async with matching(clients, topics, following()) as matcher:
        waiting = asyncio.create_task(matcher.wait())
        await matcher.stop()
        async with asyncio.timeout(5):
            await waiting
