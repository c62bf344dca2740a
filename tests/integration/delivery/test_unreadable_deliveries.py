"""What is no delivery, or cannot be told, becomes a dead letter, in whichever topic it stands, and holds up nothing."""

import pytest
from aiokafka import TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from dispatcher.delivery import reports
from dispatcher.delivery.outcome import Outcome, encode_outcome
from dispatcher.kafka.administration import connected
from dispatcher.kafka.dead_letter_box import DeadLetterBox, Letter, Selection
from dispatcher.kafka.groups import Group
from tests.support.delivering import Delivering
from tests.support.target import Target, answer, fail_first
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
    await delivering.webhook("wh", target.url("in"))
    await delivering.sender()
    for message in ("msg_1", "msg_bad", "msg_2"):
        await delivering.deliver("wh", message)
    letter = await the_letter(delivering)
    assert "nobody thought of it" in letter.reason
    await all_is_done(delivering, letter, 3)


async def test_an_outcome_that_is_too_large_is_told_without_what_was_answered(
    delivering: Delivering, target: Target
) -> None:
    await allow(delivering, delivering.topics.attempts, 10_000)
    await delivering.webhook("wh", target.url("in", answer(200, x_one="x" * 6_000, x_two="x" * 6_000)))
    await delivering.sender()
    await delivering.deliver("wh", "msg_1")
    (outcome,) = await delivering.outcomes(1)
    assert (outcome["message_id"], outcome["status"], outcome["response_code"]) == ("msg_1", "successful", 200)
    assert outcome.keys().isdisjoint(Outcome.__optional_keys__)
    assert len(target.received) == 1


async def test_an_attempt_that_its_retry_topic_does_not_take_holds_up_nothing(
    delivering: Delivering, target: Target
) -> None:
    topics = delivering.topics
    first_wait = topics.retry[topics.schedule.waits[0]]
    await allow(delivering, first_wait, 100)
    await delivering.webhook("wh", target.url("fails", fail_first(1)))
    await delivering.sender()
    await delivering.deliver("wh", "msg_1")
    letter = await the_letter(delivering)
    assert f"more than {first_wait} takes" in letter.reason
    await delivering.deliver("wh", "msg_2")
    await all_is_done(delivering, letter, 2)


async def allow(delivering: Delivering, topic: str, size: int) -> None:
    async with connected(delivering.clients) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(size)})])


async def the_letter(delivering: Delivering) -> Letter:
    box = DeadLetterBox(delivering.clients, delivering.topics)

    async def letters() -> list[Letter]:
        found = await box.letters(Selection())
        assert found
        return found

    (letter,) = await eventually(letters)
    return letter


async def all_is_done(delivering: Delivering, letter: Letter, records: int) -> None:
    """Whether that many are committed in the letter's partition of deliveries."""
    topics = delivering.topics
    assert letter.origin is not None
    assert letter.origin.topic == topics.deliveries
    async with delivering.clients.consumer(group=topics.group(Group.SENDER)) as consumer:
        at = TopicPartition(topics.deliveries, letter.origin.partition)

        async def committed() -> bool:
            return bool(await consumer.committed(at) == records)

        await eventually(committed)
