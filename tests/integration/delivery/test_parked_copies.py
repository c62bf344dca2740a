"""What is parked, and is known already, is told from what has to wait for room in its lane."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from aiokafka import TopicPartition

from dispatcher.delivery import memory, takeover
from dispatcher.delivery.memory import attempt_key
from dispatcher.delivery.parking import Parking
from dispatcher.kafka.partitioning import partition_of
from dispatcher.observability.metrics import DUPLICATES
from dispatcher.webhooks.store import FIRST_REVISION
from tests.support.delivering import Delivering
from tests.support.kafka import consume_all
from tests.support.target import Target, hang
from tests.support.waiting import eventually

RATE = 30.0
MESSAGES = [f"msg_{number}" for number in range(95)]
"""Fewer than are parked, and for a second and a half too many to let parked ones back in."""


async def test_copies_of_what_was_made_and_of_what_waits_are_neither_sent_nor_parked_again(
    delivering: Delivering, target: Target
) -> None:
    clients, topics = delivering.clients, delivering.topics
    await delivering.webhook("wh", target.url("in"), rate_limit=RATE)
    await delivering.sender()
    await delivering.deliver("wh", *MESSAGES)
    await eventually(lambda: target.received)
    made, waits = target.received[0].message_id, MESSAGES[-1]
    await delivering.deliver("wh", made, waits, "msg_parked", topic=topics.parked)
    expected = {*MESSAGES, "msg_parked"}
    await eventually(lambda: {each.message_id for each in target.received} == expected)
    assert Counter(each.message_id for each in target.received) == Counter(expected)
    parked = Counter(dict(record.headers)["message"].decode() for record in await consume_all(clients, topics.parked))
    assert (parked[made], parked[waits]) == (1, 1)


async def test_what_was_moved_is_sent_once_whoever_goes_on_with_it(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is moved from behind an unfinished record is not committed: the next sender reads it in both places."""
    for module in (memory, takeover):
        monkeypatch.setattr(module, "REMEMBERED", timedelta(seconds=1))
    monkeypatch.setattr(memory, "_SLICE", timedelta(seconds=0.1))
    clients, topics = delivering.clients, delivering.topics
    webhook = await delivering.webhook("wh", target.url("in"), rate_limit=2.0)
    sender = await delivering.sender()
    messages = [f"msg_{number}" for number in range(300)]
    await delivering.deliver("wh", *messages)

    async def many_were_moved() -> bool:
        return len(await consume_all(clients, topics.parked)) > len(messages) + 100

    await eventually(many_were_moved)
    await sender.stop()
    await delivering.store.replace(webhook.model_copy(update={"rate_limit": 100.0}), based_on=FIRST_REVISION)
    await delivering.sender()
    await eventually(lambda: {each.message_id for each in target.received} == set(messages), timeout=30)
    await delivering.outcomes(len(messages))
    assert Counter(each.message_id for each in target.received) == Counter(messages)


async def test_what_is_parked_is_not_overtaken_by_its_repetition(delivering: Delivering, target: Target) -> None:
    """It would be sent once more when it comes back, if more than ten minutes lay between."""
    clients, topics = delivering.clients, delivering.topics
    await delivering.webhook("wh", target.url("in"), rate_limit=50.0)
    sender = await delivering.sender()
    sender._lanes._limits = replace(sender._lanes._limits, parked_waiting_seconds=5.0)
    messages = [f"msg_{number}" for number in range(400)]
    await delivering.deliver("wh", *messages)

    async def the_last_one_is_parked() -> bool:
        parked = await consume_all(clients, topics.parked)
        return messages[-1] in {dict(record.headers)["message"].decode() for record in parked}

    await eventually(the_last_one_is_parked)
    await eventually(lambda: len(target.received) >= 60)  # now there is room for another one
    before = DUPLICATES._value.get()
    await delivering.deliver("wh", messages[-1])
    await eventually(lambda: DUPLICATES._value.get() == before + 1)
    assert messages[-1] not in {each.message_id for each in target.received}
    await eventually(lambda: {each.message_id for each in target.received} == set(messages), timeout=20)
    await delivering.outcomes(len(messages))
    assert Counter(each.message_id for each in target.received) == Counter(messages)


async def test_what_is_on_its_way_there_is_not_taken_for_parked(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebalance may read it again before the broker has it."""
    held: list[tuple[Parking, int, Any]] = []
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Parking, "_send", lambda *of_batch: held.append(of_batch))
        webhook = await delivering.webhook("wh", target.url("in"), rate_limit=5.0)
        sender = await delivering.sender()
        sender._lanes._limits = replace(sender._lanes._limits, waiting_seconds=1.0)
        messages = [f"msg_{number}" for number in range(30)]
        await delivering.deliver("wh", *messages)
        await eventually(lambda: sum(len(batch.parked) for _, _, batch in held) >= 20)
        before = sender._watermarks
        sender._consumer._coordinator.request_rejoin()
        await eventually(lambda: sender._watermarks is not before and sender._assigned.is_set(), timeout=20)
        number = partition_of("wh", delivering.topics.delivery_partitions)
        deliveries = sender._watermarks[TopicPartition(delivering.topics.deliveries, number)]
        await eventually(lambda: deliveries.position == len(messages))
        await eventually(lambda: not sender._lanes.waiting and not sender._executing)
        assert deliveries.committable == len(messages) - sum(len(batch.parked) for _, _, batch in held)
    for parking, partition, batch in held:
        parking._send(partition, batch)
    await delivering.store.replace(webhook.model_copy(update={"rate_limit": 100.0}), based_on=FIRST_REVISION)
    await eventually(lambda: {each.message_id for each in target.received} == set(messages), timeout=20)
    await eventually(lambda: deliveries.committable == len(messages))
    assert Counter(each.message_id for each in target.received) == Counter(messages)


async def test_what_was_made_long_ago_is_known_to_the_sender_that_keeps_it_too(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a delivery whose target hangs, where nothing can be committed."""
    for module in (memory, takeover):
        monkeypatch.setattr(module, "REMEMBERED", timedelta(seconds=1))
    monkeypatch.setattr(takeover, "_CLOCK_SKEW_MS", 0)
    monkeypatch.setattr(memory, "_SLICE", timedelta(seconds=0.1))
    partitions = delivering.topics.delivery_partitions
    await delivering.webhook("hangs", target.url("hangs", hang))
    beside = next(
        id for id in map("wh-{}".format, count()) if partition_of(id, partitions) == partition_of("hangs", partitions)
    )
    await delivering.webhook(beside, target.url("in"))
    sender = await delivering.sender()
    await delivering.deliver("hangs", "msg_first")
    await eventually(lambda: target.at("hangs"))
    messages = [f"msg_{number}" for number in range(20)]
    await delivering.deliver(beside, *messages)
    await delivering.outcomes(len(messages))
    await asyncio.sleep(1.5)
    await delivering.deliver(beside, "msg_later")  # of those before nothing is remembered then
    await delivering.outcomes(len(messages) + 1)
    before = sender._watermarks
    sender._consumer._coordinator.request_rejoin()
    await eventually(lambda: sender._watermarks is not before and sender._assigned.is_set(), timeout=20)
    deliveries = sender._watermarks[TopicPartition(delivering.topics.deliveries, partition_of("hangs", partitions))]
    await eventually(lambda: deliveries.position == len(messages) + 2)
    await eventually(
        lambda: (
            not sender._partitions[partition_of("hangs", partitions)].at_hand.keys() - {attempt_key("msg_first", 1, 1)}
        )
    )
    assert Counter(each.message_id for each in target.at("in")) == Counter([*messages, "msg_later"])
