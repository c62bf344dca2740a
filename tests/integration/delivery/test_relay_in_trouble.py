"""A relay whose producer has no room, and one that fails."""

from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError

from dispatcher.kafka.partitioning import partition_of
from dispatcher.operations.lag_meter import LagMeter
from tests.support.delivering import Delivering
from tests.support.target import Target, fail_first
from tests.support.waiting import eventually


async def test_what_the_producer_has_no_room_for_is_handed_over_a_moment_later(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_batch, refusals = AIOKafkaProducer.send_batch, [KafkaTimeoutError() for _ in range(2)]

    async def full_at_first(producer: AIOKafkaProducer, batch: Any, topic: str, *, partition: int) -> Any:
        if topic in delivering.topics.to_send and refusals:
            raise refusals.pop()
        return await send_batch(producer, batch, topic, partition=partition)

    monkeypatch.setattr(AIOKafkaProducer, "send_batch", full_at_first)
    await delivering.webhook("wh", target.url("heals", fail_first(3)))
    await delivering.sender()
    await delivering.relay()
    await delivering.deliver("wh", "msg_1", "msg_2", "msg_3")
    await eventually(lambda: len(target.received) >= 6)
    assert not refusals
    assert sorted(each.message_id for each in target.received) == sorted(["msg_1", "msg_2", "msg_3"] * 2)


async def test_an_attempt_of_a_partition_that_its_producer_does_not_know_yet_is_handed_over(
    delivering: Delivering, target: Target
) -> None:
    await delivering.webhook("wh", target.url("heals", fail_first(1)))
    await delivering.sender()
    relay = await delivering.relay()
    await delivering.deliver("wh", "msg_1")
    await eventually(lambda: len(target.received) == 2)
    # As if the partition had been added after the producer last asked for them.
    known = relay._producer.client.cluster._partitions[delivering.topics.deliveries]
    del known[partition_of("wh", len(known))]
    await delivering.deliver("wh", "msg_2")
    await eventually(lambda: len(target.received) == 4)
    assert [(each.message_id, each.attempt) for each in target.received[2:]] == [("msg_2", 1), ("msg_2", 2)]


async def test_what_was_handed_over_may_be_another_relay_s_by_then(delivering: Delivering) -> None:
    relay = await delivering.relay()
    await relay._commit({TopicPartition("webhooks.retry.5m", 0): 7})
    assert relay._consumer.assignment()


async def test_a_relay_that_failed_leaves_its_group(delivering: Delivering, monkeypatch: pytest.MonkeyPatch) -> None:
    relay = await delivering.relay()
    meter = LagMeter(delivering.clients, delivering.topics, seconds=0)

    async def members() -> int:
        groups = (await meter.measure()).groups
        return next(group.membership.members for group in groups if group.reader.name == "relay")

    assert await members() == 1

    async def fails(**_: int) -> None:
        raise KafkaError("broken")

    monkeypatch.setattr(relay._consumer, "getmany", fails)
    with pytest.raises(KafkaError, match="broken"):
        await relay.wait()
    await relay.stop()
    assert await members() == 0
