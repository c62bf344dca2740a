from functools import partial

from aiokafka import ConsumerRecord

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.compacted import NoLongerFollowing
from dispatcher.kafka.dead_letters import read_dead_letter
from dispatcher.kafka.groups import Group
from dispatcher.kafka.in_turn import InTurn
from dispatcher.kafka.topics import Topics
from tests.support.kafka import consume, consume_all
from tests.support.waiting import eventually


async def test_a_record_that_nobody_thought_of_keeps_no_other_from_its_turn(
    clients: KafkaClients, topics: Topics
) -> None:
    seen: list[bytes] = []

    async def handle(record: ConsumerRecord) -> None:
        assert record.value is not None
        if record.value == b"bad":
            raise KeyError("nobody thought of it")
        seen.append(record.value)

    async with clients.producer() as producer:
        for topic in (topics.commands, topics.config):
            for value in (b"first", b"bad", b"last"):
                await producer.send_and_wait(topic, value, key=value, partition=0)
        work = InTurn(clients, producer, topics, Group.PORTAL, [topics.commands, topics.config], handle)
        await work.start()
        try:
            await eventually(lambda: len(seen) == 4)
        finally:
            await work.stop()
        letters = [read_dead_letter(record) for record in await consume(clients, topics.dead_letter, 2)]
    assert sorted(seen) == [b"first", b"first", b"last", b"last"]
    assert {(letter.origin.topic, letter.value) for letter in letters} == {
        (topics.commands, b"bad"),
        (topics.config, None),  # secrets are kept in one place
    }
    assert all("nobody thought of it" in letter.reason for letter in letters)


async def test_a_record_stays_where_it_is_when_what_its_handler_follows_is_no_longer_read(
    clients: KafkaClients, topics: Topics
) -> None:
    tried: list[bytes] = []

    async def handle(record: ConsumerRecord) -> None:
        assert record.value is not None
        tried.append(record.value)
        if len(tried) < 3:
            raise NoLongerFollowing

    def has_tried(times: int) -> bool:
        return len(tried) == times

    async with clients.producer() as producer:
        await producer.send_and_wait(topics.commands, b"command", partition=0)
        for tries in (2, 3):
            work = InTurn(clients, producer, topics, Group.PORTAL, [topics.commands], handle)
            await work.start()
            try:
                await eventually(partial(has_tried, tries))
            finally:
                await work.stop()
    assert tried == [b"command"] * 3
    assert await consume_all(clients, topics.dead_letter) == []
