"""No event is lost, whatever becomes of a matcher."""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.producer.sender import Sender
from faust.transport.drivers.aiokafka import Consumer

from dispatcher.events.types import EventType
from dispatcher.kafka.administration import connected
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.groups import Group
from dispatcher.kafka.topics import Topics
from dispatcher.matching import faust_app
from dispatcher.matching.matcher import Matcher
from dispatcher.matching.message_id import message_of_device, message_of_event
from dispatcher.settings import Settings
from tests.support.kafka import commit_beyond_ends
from tests.support.matching import ORGANIZATION, Reader, a_webhook, an_event, following, publish
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(300)

ALERTS = EventType.ACTIVE_ALERT
REPOSITORY = Path(__file__).parents[3]
EVENTS = 12_000


def alerts(count: int, first: int = 0) -> list[bytes]:
    return [an_event(ALERTS, id=f"event-{number}") for number in range(first, first + count)]


def messages(count: int) -> set[str]:
    return {message_of_event("wh-1", f"/portal/{ALERTS}", f"event-{number}") for number in range(count)}


def a_matcher(clients: KafkaClients, topics: Topics) -> Matcher:
    return Matcher(clients, topics, following(a_webhook(ALERTS)))


async def complete(deliveries: Reader, expected: set[str]) -> Counter[str]:
    """Read until every expected message has been seen; how often each was."""
    seen: Counter[str] = Counter()
    read = 0
    async with asyncio.timeout(60):
        while not seen.keys() >= expected:
            await deliveries.take()
            seen.update(dict(record.headers)["message"].decode() for record in deliveries.records[read:])
            read = len(deliveries.records)
    assert seen.keys() == expected
    return seen


@asynccontextmanager
async def a_process(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = os.environ | {
        "DISPATCHER_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers or "",
        "DISPATCHER_KAFKA_PREFIX": settings.kafka_prefix,
        "DISPATCHER_TOPICS_FILE": str(settings.topics_file),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.run_matcher",
        cwd=REPOSITORY,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(120):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_stop_and_a_start_in_the_middle_lose_nothing_and_repeat_nothing(
    clients: KafkaClients, topics: Topics
) -> None:
    async with Reader(clients, topics.deliveries, topics.bulk) as deliveries:
        await publish(clients, topics.events[ALERTS], alerts(EVENTS))
        for share in (0.1, 0.4):
            matcher = a_matcher(clients, topics)
            await matcher.start()
            async with asyncio.timeout(60):
                await deliveries.until(int(share * EVENTS))
            await matcher.stop()
            await deliveries.take()
            assert len(deliveries.records) < EVENTS
        matcher = a_matcher(clients, topics)
        await matcher.start()
        try:
            seen = await complete(deliveries, messages(EVENTS))
        finally:
            await matcher.stop()
    assert set(seen.values()) == {1}


async def test_a_kill_loses_nothing(clients: KafkaClients, topics: Topics, settings: Settings) -> None:
    async with Reader(clients, topics.deliveries, topics.bulk) as deliveries:
        await publish(clients, topics.events[ALERTS], alerts(EVENTS))
        async with a_process(settings) as process:
            async with asyncio.timeout(60):
                await deliveries.until(EVENTS // 10)
            process.send_signal(signal.SIGKILL)
            await process.wait()
        await deliveries.take()
        assert len(deliveries.records) < EVENTS
        async with a_process(settings) as process:
            await complete(deliveries, messages(EVENTS))
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(40):
                assert await process.wait() == 0


@pytest.mark.parametrize("used", [False, True], ids=["a new group", "a used group"])
async def test_an_event_that_takes_long_is_matched_again_though_those_behind_it_were_done(
    clients: KafkaClients, topics: Topics, monkeypatch: pytest.MonkeyPatch, used: bool
) -> None:
    operations, devices = EventType.OPERATION_EXECUTED, EventType.OPERATION_EXECUTED_IN_WORKSPACE
    webhooks = following(
        a_webhook(operations, id="wh-whole"), a_webhook(devices, id="wh-device"), a_webhook(ALERTS, id="wh-alerts")
    )
    long = an_event(operations, id="long", workspaces=[{"workspace_id": f"ws-{number}"} for number in range(500)])
    short = [an_event(operations, id=f"short-{number}", operation_id=f"op-{number}") for number in range(20)]
    rest = Matcher._match_rest

    async def never(*_: Any) -> None:
        await asyncio.Event().wait()

    async def committed(topic: str) -> dict[TopicPartition, int]:
        async with connected(clients) as admin:
            offsets = await admin.list_consumer_group_offsets(topics.group(Group.MATCHER))
        return {tp: each.offset for tp, each in offsets.items() if tp.topic == topic and each.offset >= 0}

    async with Reader(clients, topics.deliveries, topics.bulk) as deliveries:
        monkeypatch.setattr(Matcher, "_match_rest", never)
        matcher = Matcher(clients, topics, webhooks)
        await matcher.start()
        try:
            before: dict[TopicPartition, int] = {}
            if used:
                await publish(clients, topics.events[operations], short[:1], spread=False)
                before = await eventually(partial(committed, topics.events[operations]))
            await publish(clients, topics.events[operations], [long, *short], spread=False)
            async with asyncio.timeout(30):
                await deliveries.until(50 + len(short) + used)
            await publish(clients, topics.events[ALERTS], alerts(1))
            await eventually(partial(committed, topics.events[ALERTS]))  # all that may be is committed with it
            after = await committed(topics.events[operations])
        finally:
            await matcher.stop()
        assert after == (before or dict.fromkeys(after, 0))
        monkeypatch.setattr(Matcher, "_match_rest", rest)
        matcher = Matcher(clients, topics, webhooks)
        await matcher.start()
        try:
            device = [message_of_device("wh-device", ORGANIZATION, "op-81", f"ws-{number}") for number in range(500)]
            async with asyncio.timeout(30):
                while not {dict(each.headers)["message"].decode() for each in deliveries.records}.issuperset(device):
                    await deliveries.take()
        finally:
            await matcher.stop()


async def test_who_joins_does_not_wait_for_an_event_that_takes_long(
    clients: KafkaClients, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    operations, devices = EventType.OPERATION_EXECUTED, EventType.OPERATION_EXECUTED_IN_WORKSPACE
    webhooks = following(a_webhook(devices, id="wh-device"), a_webhook(ALERTS, id="wh-1"))
    long = an_event(operations, id="long", workspaces=[{"workspace_id": f"ws-{number}"} for number in range(500)])
    device = {message_of_device("wh-device", ORGANIZATION, "op-81", f"ws-{number}") for number in range(500)}

    async def never(*_: Any) -> None:
        await asyncio.Event().wait()

    matchers = [Matcher(clients, topics, webhooks) for _ in range(2)]
    async with Reader(clients, topics.deliveries, topics.bulk) as deliveries:
        await matchers[0].start()
        try:
            with monkeypatch.context() as patch:
                patch.setattr(Matcher, "_match_rest", never)
                await publish(clients, topics.events[operations], [long])
                async with asyncio.timeout(30):
                    await deliveries.until(50)
            async with asyncio.timeout(20):
                await matchers[1].start()
            await publish(clients, topics.events[ALERTS], alerts(100))
            await complete(deliveries, device | messages(100))
        finally:
            for matcher in matchers:
                await matcher.stop()


@pytest.mark.parametrize(
    "hangs", [(AIOKafkaProducer, "send_batch"), (Sender, "_send_produce_req")], ids=["accepting", "acknowledging"]
)
async def test_a_stop_does_not_wait_for_a_producer_that_hangs(
    clients: KafkaClients, topics: Topics, monkeypatch: pytest.MonkeyPatch, hangs: tuple[type, str]
) -> None:
    hanging = asyncio.Event()

    async def never(*_: Any, **__: Any) -> Any:
        hanging.set()
        await asyncio.Event().wait()

    async with Reader(clients, topics.deliveries, topics.bulk) as deliveries:
        await publish(clients, topics.events[ALERTS], alerts(5_000))
        matcher = a_matcher(clients, topics)
        with monkeypatch.context() as patch:
            patch.setattr(*hangs, never)
            await matcher.start()
            async with asyncio.timeout(30):
                await hanging.wait()
            begun = time.monotonic()
            await matcher.stop()
            assert time.monotonic() - begun < 30
        assert await deliveries.take() == 0
        matcher = a_matcher(clients, topics)
        await matcher.start()
        try:
            await complete(deliveries, messages(5_000))
        finally:
            await matcher.stop()


async def test_what_is_done_but_not_committed_is_handed_over(
    clients: KafkaClients, topics: Topics, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faust_app, "COMMIT_SECONDS", 3_600)
    async with Reader(clients, topics.deliveries, topics.bulk) as deliveries:
        matcher = a_matcher(clients, topics)
        await matcher.start()
        try:
            await publish(clients, topics.events[ALERTS], alerts(100))
            await complete(deliveries, messages(100))
            async with a_process(settings):
                await publish(clients, topics.events[ALERTS], alerts(100, first=100))
                seen = await complete(deliveries, messages(200))
        finally:
            await matcher.stop()
    assert set(seen.values()) == {1}


async def test_what_comes_after_the_end_of_a_log_was_lost_is_matched(clients: KafkaClients, topics: Topics) -> None:
    await publish(clients, topics.events[ALERTS], alerts(20))
    await commit_beyond_ends(clients, topics.group(Group.MATCHER), topics.events[ALERTS])
    async with Reader(clients, topics.deliveries, topics.bulk) as deliveries:
        matcher = a_matcher(clients, topics)
        await matcher.start()
        try:
            await publish(clients, topics.events[ALERTS], alerts(20, first=20))
            await complete(deliveries, messages(40))
        finally:
            await matcher.stop()


@pytest.mark.parametrize("commit_takes", [0, 0.3], ids=["quick commits", "slow commits"])
async def test_matchers_that_come_and_go_share_the_work_without_losing_or_repeating_any(
    clients: KafkaClients, topics: Topics, settings: Settings, monkeypatch: pytest.MonkeyPatch, commit_takes: float
) -> None:
    commit = Consumer._commit

    async def slow_commit(consumer: Consumer, offsets: Any) -> bool:
        await asyncio.sleep(commit_takes)
        return await commit(consumer, offsets)

    monkeypatch.setattr(Consumer, "_commit", slow_commit)
    published = 0
    enough = asyncio.Event()

    async def publish_until_enough() -> None:
        nonlocal published
        while not enough.is_set():
            await publish(clients, topics.events[ALERTS], alerts(200, first=published))
            published += 200

    async with Reader(clients, topics.deliveries, topics.bulk) as deliveries:
        matcher = a_matcher(clients, topics)
        await matcher.start()
        publishing = asyncio.create_task(publish_until_enough())
        try:
            async with asyncio.timeout(110):
                async with a_process(settings) as other:
                    await deliveries.until(len(deliveries.records) + 3_000)
                    other.send_signal(signal.SIGTERM)
                    assert await other.wait() == 0
                await deliveries.until(len(deliveries.records) + 3_000)
            enough.set()
            await publishing
            seen = await complete(deliveries, messages(published))
        finally:
            publishing.cancel()
            await matcher.stop()
    assert set(seen.values()) == {1}
