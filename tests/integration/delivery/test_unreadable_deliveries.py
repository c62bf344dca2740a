"""What is no delivery becomes a dead letter, in whichever of their topics it stands, and holds up nothing."""

import pytest
from aiokafka import TopicPartition

from dispatcher.delivery import reports
from dispatcher.delivery.outcome import Outcome, encode_outcome
from dispatcher.kafka.dead_letter_box import DeadLetterBox, Letter, Selection
from dispatcher.kafka.groups import Group
from tests.support.delivering import Delivering
from tests.support.target import Target
from tests.support.waiting import eventually

# aiokafka hands on headers without values, which other producers write, as None.
NULLS = [
    ("v", b"1"),
    *((name, None) for name in ("message", "run", "attempt", "event", "organization", "created", "config")),
]


async def test_of_every_topic_of_deliveries_and_once_more_when_it_is_sent_again(
    delivering: Delivering, target: Target
) -> None:
    clients, topics = delivering.clients, delivering.topics
    await delivering.webhook("wh", target.url("in"))
    await delivering.sender()
    await delivering.relay()
    unreadable = (
        (topics.deliveries, b"1"),
        (topics.parked, b"2"),
        (topics.bulk, b"5"),
        *((name, b"3") for name in topics.retry.values()),
    )
    async with clients.producer() as producer:
        for topic, value in unreadable:
            await producer.send_and_wait(topic, value, key=b"wh", headers=[("v", b"99")], partition=1)
        await producer.send_and_wait(topics.deliveries, b"4", key=b"wh", headers=NULLS, partition=1)
        await producer.send_and_wait(topics.deliveries, b"{}", partition=1)
        # What neither has a key nor a value, aiokafka's producer sends only in a batch of one's own.
        batch = producer.create_batch()
        batch.append(timestamp=None, key=None, value=None, headers=[])
        batch.close()
        await (await producer.send_batch(batch, next(iter(topics.retry.values())), partition=1))
    await delivering.deliver("wh", "msg_1")
    await eventually(lambda: target.received)
    box = DeadLetterBox(clients, topics)

    async def letters() -> list[Letter]:
        found = await box.letters(Selection())
        assert len(found) == 5 + len(topics.retry) + 1, found
        return found

    found = await eventually(letters)
    from_retries = [each for each in found if each.value == "3"]
    # The relay passes on whatever comes due; the sender, which reads it from there, judges it.
    assert {each.origin.topic for each in from_retries if each.origin} == {topics.deliveries}
    assert {each.origin.partition for each in found if each.origin} == {1}
    sorted_out = await box.sort(found)
    assert await box.replay(sorted_out.sendable, lambda _: None) == len(found)
    await eventually(letters)
    assert {each.place for each in await letters()}.isdisjoint({each.place for each in found})


async def test_an_outcome_that_says_nothing_keeps_no_partition_from_having_a_sender(
    delivering: Delivering, target: Target
) -> None:
    await delivering.webhook("wh", target.url("in"))
    async with delivering.clients.producer() as producer:
        for partition in range(delivering.topics.delivery_partitions):
            for nulls in ([], [("message", None), ("run", None), ("attempt", None), ("topic", None), ("offset", None)]):
                await producer.send_and_wait(
                    delivering.topics.attempts, b"{}", key=b"wh", headers=[("final", b"1"), *nulls], partition=partition
                )
    await delivering.sender()
    await delivering.deliver("wh", "msg_1")
    await eventually(lambda: target.received)


async def test_an_attempt_of_which_nothing_can_be_told_holds_up_nothing(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(outcome: Outcome) -> bytes:
        if outcome["message_id"] == "msg_bad":
            raise ValueError("nobody thought of it")
        return encode_outcome(outcome)

    monkeypatch.setattr(reports, "encode_outcome", encode)
    clients, topics = delivering.clients, delivering.topics
    await delivering.webhook("wh", target.url("in"))
    await delivering.sender()
    for message in ("msg_1", "msg_bad", "msg_2"):
        await delivering.deliver("wh", message)
    box = DeadLetterBox(clients, topics)

    async def letters() -> list[Letter]:
        found = await box.letters(Selection())
        assert found
        return found

    (letter,) = await eventually(letters)
    assert "nobody thought of it" in letter.reason
    assert letter.origin is not None
    assert letter.origin.topic == topics.deliveries
    async with clients.consumer(group=topics.group(Group.SENDER)) as consumer:
        at = TopicPartition(topics.deliveries, letter.origin.partition)

        async def committed() -> bool:
            return bool(await consumer.committed(at) == 3)

        await eventually(committed)
