import asyncio
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from time import time
from unittest.mock import AsyncMock

import orjson
import pytest
from aiohttp import web
from standardwebhooks import Webhook as StandardWebhook

from dispatcher.delivery import sender as sender_role
from dispatcher.kafka.clock import BrokerClock
from dispatcher.kafka.topics import load_topics
from dispatcher.moments import moment
from dispatcher.webhooks.store import FIRST_REVISION
from tests.support.delivering import Delivering
from tests.support.kafka import consume, consume_all, write_topics_file
from tests.support.target import Received, Target, answer, fail_first, hang
from tests.support.waiting import eventually

IDS = [f"msg_{number}" for number in range(20)]


async def test_a_delivery_is_signed_sent_and_reported(delivering: Delivering, target: Target) -> None:
    webhook = await delivering.webhook("wh", target.url("in"), headers={"X-Key": "s3cret"})
    await delivering.sender()
    await delivering.deliver("wh", "msg_1")
    await eventually(lambda: target.received)
    received = target.received[0]
    assert StandardWebhook(webhook.secrets[0].value).verify(received.body, dict(received.headers)) == {"number": 0}
    assert received.headers["webhook-event"] == "active_alert"
    assert received.headers["X-Key"] == "s3cret"
    (record,) = await consume(delivering.clients, delivering.topics.attempts, 1)
    outcome = orjson.loads(record.value)
    assert outcome["status"] == "successful"
    assert outcome["response_code"] == 200
    assert outcome["response_body"] == "ok"
    assert outcome["workspace_id"] == "ws-1"
    assert "s3cret" not in record.value.decode()


HOUR_OFF = pytest.mark.parametrize("off", [-3_600, 3_600], ids=["behind", "ahead"])


@HOUR_OFF
async def test_a_sender_whose_machine_is_an_hour_off_signs_with_the_broker_s_time(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch, off: int
) -> None:
    webhook = await delivering.webhook("wh", target.url("in"))
    monkeypatch.setattr("dispatcher.delivery.target.time", lambda: time() + off)
    await delivering.sender(BrokerClock(wall=lambda: time() + off))
    await delivering.deliver("wh", "msg_1")
    (first,) = await eventually(lambda: target.received)
    assert StandardWebhook(webhook.secrets[0].value).verify(first.body, dict(first.headers)) == {"number": 0}


@HOUR_OFF
async def test_where_kafka_does_not_tell_the_time_the_first_outcome_does(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch, off: int
) -> None:
    monkeypatch.setattr(sender_role, "leaders_time", AsyncMock(return_value=None))
    webhook = await delivering.webhook("wh", target.url("in"))
    await delivering.sender(BrokerClock(wall=lambda: time() + off))
    await delivering.deliver("wh", "msg_1")
    await delivering.outcomes(1)
    await delivering.deliver("wh", "msg_2")
    await eventually(lambda: len(target.received) == 2)
    last = target.received[-1]
    assert StandardWebhook(webhook.secrets[0].value).verify(last.body, dict(last.headers)) == {"number": 0}


@HOUR_OFF
async def test_a_sender_whose_machine_is_an_hour_off_knows_what_others_made_lately(
    delivering: Delivering, target: Target, off: int
) -> None:
    await delivering.webhook("wh", target.url("in"))
    sender = await delivering.sender()
    await delivering.deliver("wh", *IDS)
    await eventually(lambda: len(target.received) >= len(IDS))
    await sender.stop()
    await delivering.sender(BrokerClock(wall=lambda: time() + off))
    await delivering.deliver("wh", *IDS)
    await delivering.deliver("wh", *IDS, run=2)
    outcomes = await delivering.outcomes(2 * len(IDS))
    made = [(each["message_id"], each["run"]) for each in outcomes]
    assert sorted(made) == sorted((id, run) for id in IDS for run in (1, 2))
    assert len(target.received) == 2 * len(IDS)


async def test_repeated_deliveries_are_sent_once(delivering: Delivering, target: Target) -> None:
    await delivering.webhook("wh", target.url("in"))
    sender = await delivering.sender()
    await delivering.deliver("wh", *IDS, times=3)
    await eventually(lambda: len(target.received) >= len(IDS))
    await sender.stop()
    again = await delivering.sender()
    await delivering.deliver("wh", *IDS)
    await delivering.deliver("wh", *IDS, run=2)
    await eventually(lambda: len(target.received) >= 2 * len(IDS))
    await again.stop()
    assert Counter(each.message_id for each in target.received) == dict.fromkeys(IDS, 2)
    assert len(await delivering.outcomes(2 * len(IDS))) == 2 * len(IDS)


class LaterClock(BrokerClock):
    """Of twenty minutes later than it is."""

    def now(self) -> int:
        return super().now() + 20 * 60_000


async def test_what_is_published_again_while_nobody_sends_is_sent_once(delivering: Delivering, target: Target) -> None:
    await delivering.webhook("wh", target.url("in"))
    sender = await delivering.sender()
    await delivering.deliver("wh", *IDS)
    await eventually(lambda: len(target.received) >= len(IDS))
    await sender.stop()
    await delivering.deliver("wh", *IDS, "msg_other")
    await delivering.sender(LaterClock())
    await delivering.outcomes(len(IDS) + 1)
    await delivering.deliver("wh", *IDS, "msg_last")  # as if it had waited behind
    await delivering.outcomes(len(IDS) + 2)
    assert Counter(each.message_id for each in target.received) == Counter([*IDS, "msg_other", "msg_last"])


async def test_failures_are_tried_again_by_the_schedule_and_then_no_more(
    delivering: Delivering, target: Target
) -> None:
    await delivering.webhook("wh", target.url("fails", answer(500)))
    await delivering.webhook("heals", target.url("heals", fail_first(1)))
    await delivering.sender()
    await delivering.relay()
    await delivering.deliver("wh", "msg_1", "msg_2")
    await delivering.deliver("heals", "msg_3")
    await eventually(lambda: len(target.received) >= 8)
    for message_id in ("msg_1", "msg_2"):
        times = [each.at for each in target.at("fails") if each.message_id == message_id]
        waits = [later - earlier for earlier, later in pairwise(times)]
        assert all(due <= wait < 10 for wait, due in zip(waits, [1, 2], strict=True))
    notices = [orjson.loads(each.value) for each in await consume(delivering.clients, delivering.topics.notices, 2)]
    assert {each["data"]["message_id"] for each in notices} == {"msg_1", "msg_2"}
    assert {(each["type"], each["data"]["attempts"], each["data"]["reason"]) for each in notices} == {
        ("message_failed", 3, "http_status")
    }
    outcomes = await delivering.outcomes(8)
    by_message = {
        message_id: [
            (each["attempt"], each["status"], each["next_attempt_at"] is not None)
            for each in outcomes
            if each["message_id"] == message_id
        ]
        for message_id in ("msg_1", "msg_3")
    }
    assert by_message["msg_1"] == [(1, "failed", True), (2, "failed", True), (3, "failed", False)]
    assert by_message["msg_3"] == [(1, "failed", True), (2, "successful", False)]


async def test_retry_after_chooses_a_later_topic_and_keeps_the_place(delivering: Delivering, target: Target) -> None:
    await delivering.webhook("wh", target.url("busy", answer(503, retry_after="2")))
    await delivering.sender()
    await delivering.deliver("wh", "msg_1")
    (record,) = await consume(delivering.clients, delivering.topics.retry[delivering.topics.schedule.waits[1]], 1)
    assert dict(record.headers)["attempt"] == b"2"


async def test_gone_ends_the_message_and_asks_the_portal_to_disable(delivering: Delivering, target: Target) -> None:
    webhook = await delivering.webhook("wh", target.url("gone", answer(410)))
    await delivering.sender()
    await delivering.deliver("wh", "msg_1")
    (record,) = await consume(delivering.clients, delivering.topics.commands, 1)
    command = orjson.loads(record.value)
    assert (record.key, command["command"], command["webhook_id"]) == (b"wh", "disable", "wh")
    assert "410 Gone" in command["reason"]
    # What was edited while the target took its time is another webhook, which nobody has called yet.
    assert moment(command["time"]) == webhook.updated_on
    (outcome,) = await delivering.outcomes(1)
    assert (outcome["status"], outcome["next_attempt_at"]) == ("failed", None)
    assert await given_up(delivering, 1) == {"msg_1"}


async def test_a_webhook_that_is_disabled_or_deleted_is_not_called(delivering: Delivering, target: Target) -> None:
    await delivering.webhook("off", target.url("off"), status="disabled")
    await delivering.sender()
    await delivering.deliver("off", "msg_1")
    await delivering.deliver("deleted", "msg_2")
    outcomes = await delivering.outcomes(2)
    assert {each["error"] for each in outcomes} == {
        "not sent: the webhook is disabled",
        "not sent: the webhook was deleted",
    }
    assert {(each["status"], each["duration_ms"], each["next_attempt_at"]) for each in outcomes} == {
        ("failed", None, None)
    }
    assert target.received == []
    assert await given_up(delivering, 2) == {"msg_1", "msg_2"}


@pytest.mark.parametrize("stopped", [False, True], ids=["by the same sender", "by the next one"])
async def test_what_was_not_sent_to_a_disabled_webhook_is_sent_when_it_comes_again(
    delivering: Delivering, target: Target, stopped: bool
) -> None:
    webhook = await delivering.webhook("wh", target.url("in"), status="disabled")
    sender = await delivering.sender()
    await delivering.deliver("wh", "msg_1")
    assert [each["reason"] for each in await delivering.outcomes(1)] == ["webhook_disabled"]
    if stopped:
        await sender.stop()
    await delivering.store.replace(webhook.model_copy(update={"status": "enabled"}), based_on=FIRST_REVISION)
    if stopped:
        await delivering.sender()
    await delivering.deliver("wh", "msg_1", times=2)
    await delivering.deliver("wh", "msg_2")
    await eventually(lambda: len(target.received) >= 2)
    assert [each["status"] for each in await delivering.outcomes(3)] == ["failed", "successful", "successful"]
    assert Counter(each.message_id for each in target.received) == Counter(["msg_1", "msg_2"])


async def given_up(delivering: Delivering, count: int) -> set[str]:
    """Of which messages ``webhooks.notices`` says that they failed for good."""
    notices = [orjson.loads(each.value) for each in await consume(delivering.clients, delivering.topics.notices, count)]
    return {each["data"]["message_id"] for each in notices if each["type"] == "message_failed"}


async def test_a_retry_waits_from_when_the_target_has_answered(delivering: Delivering, target: Target) -> None:
    answered = []

    async def late(received: Received) -> web.StreamResponse:
        await asyncio.sleep(1.5)
        answered.append(time())
        return web.Response(status=500 if received.attempt == 1 else 200)

    await delivering.webhook("wh", target.url("late", late))
    await delivering.sender()
    await delivering.relay()
    await delivering.deliver("wh", "msg_1")
    await eventually(lambda: len(target.received) == 2, timeout=20)
    assert target.received[1].at - answered[0] >= 1.0


async def test_a_call_that_takes_long_shows_as_in_progress(delivering: Delivering, target: Target) -> None:
    delivering.settings = delivering.settings.model_copy(update={"request_timeout": timedelta(seconds=2)})
    await delivering.webhook("wh", target.url("hangs", hang))
    await delivering.sender()
    await delivering.deliver("wh", "msg_1")
    first, second = await delivering.outcomes(2, in_progress_too=True)
    assert (first["status"], first["duration_ms"], first["response_code"]) == ("in_progress", None, None)
    assert (second["status"], second["reason"]) == ("failed", "timeout")
    assert "within 2 s" in second["error"]
    assert first["executed_on"] == pytest.approx(second["executed_on"], abs=1_000)


async def test_what_is_no_delivery_goes_to_the_dead_letters_and_the_rest_flows(
    delivering: Delivering, target: Target
) -> None:
    await delivering.webhook("wh", target.url("in"))
    await delivering.sender()
    async with delivering.clients.producer() as producer:
        await producer.send_and_wait(delivering.topics.deliveries, value=b"{}", key=b"wh", headers=[("v", b"99")])
    await delivering.deliver("wh", "msg_1")
    await eventually(lambda: target.received)
    (record,) = await consume(delivering.clients, delivering.topics.dead_letter, 1)
    headers = dict(record.headers)
    assert b"format b'99'" in headers["dead-letter-reason"]
    assert headers["dead-letter-topic"].decode() == delivering.topics.deliveries
    assert record.value == b"{}"


async def test_a_second_sender_takes_over_and_nothing_is_sent_twice(delivering: Delivering, target: Target) -> None:
    await delivering.webhook("wh", target.url("in"))
    for number in range(6):
        await delivering.webhook(f"wh-{number}", target.url(f"in-{number}"))
    first = await delivering.sender()
    ids = [f"msg_{number}" for number in range(600)]
    for number in range(6):
        await delivering.deliver(f"wh-{number}", *(f"{each}x{number}" for each in ids[number::6]))
    second = await delivering.sender()
    await first.stop()
    for number in range(6):
        await delivering.deliver(f"wh-{number}", *(f"{each}y{number}" for each in ids[number::6]))
    await eventually(lambda: len({each.message_id for each in target.received}) >= 1_200, timeout=40)
    await second.stop()
    assert Counter(Counter(each.message_id for each in target.received).values()) == {1: 1_200}
    assert len(await delivering.outcomes(1_200)) == 1_200


async def test_a_waiting_retry_survives_the_relay(delivering: Delivering, target: Target) -> None:
    await delivering.webhook("wh", target.url("heals", fail_first(1)))
    await delivering.sender()
    relay = await delivering.relay()
    await delivering.deliver("wh", *IDS)
    await eventually(lambda: len(target.received) >= len(IDS))
    await relay.stop()
    await delivering.relay()
    await eventually(lambda: len(target.received) >= 2 * len(IDS))
    assert Counter((each.message_id, each.attempt) for each in target.received) == {
        (message_id, attempt): 1 for message_id in IDS for attempt in (1, 2)
    }


@HOUR_OFF
async def test_a_relay_whose_machine_is_an_hour_off_is_on_time_from_the_first_record_on(
    delivering: Delivering, target: Target, off: int
) -> None:
    await delivering.webhook("wh", target.url("heals", fail_first(1)))
    await delivering.sender()
    await delivering.deliver("wh", *IDS)
    await eventually(lambda: len(target.received) >= len(IDS))
    await delivering.relay(BrokerClock(wall=lambda: time() + off))
    await eventually(lambda: len(target.received) >= 2 * len(IDS))
    waiting = await consume(delivering.clients, delivering.topics.retry[timedelta(seconds=1)], len(IDS))
    stored = {record.value: record.timestamp for record in waiting}
    handed_over = [
        record
        for record in await consume_all(delivering.clients, delivering.topics.deliveries)
        if dict(record.headers)["attempt"] == b"2"
    ]
    # The relay's question is no delivery.
    assert len(handed_over) == len(IDS)
    assert all(1_000 <= record.timestamp - stored[record.value] < 600_000 for record in handed_over)


async def test_what_waits_by_an_earlier_schedule_is_tried_again_all_the_same(
    delivering: Delivering, target: Target
) -> None:
    await delivering.webhook("wh", target.url("heals", fail_first(1)))
    sender = await delivering.sender()
    await delivering.deliver("wh", "msg_1")
    await eventually(lambda: len(target.received) >= 1)
    await sender.stop()
    file = write_topics_file(delivering.settings.topics_file, ("0s",))
    delivering.topics = load_topics(file, delivering.settings.kafka_prefix)
    await delivering.sender()
    await delivering.relay()
    await eventually(lambda: len(target.received) >= 2)
    first, second = await delivering.outcomes(2)
    assert (first["attempt"], second["attempt"], second["status"]) == (1, 2, "successful")
