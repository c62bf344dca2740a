import statistics
import time

import pytest
import structlog
from aiokafka import ConsumerRecord

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.compacted import CompactedTopic
from dispatcher.kafka.topics import Topics
from dispatcher.supervision import Ended, Part, Supervisor, supervise

TIMES = 20


async def test_whoever_is_often_asked_does_not_wait_for_the_fetch_that_is_on_its_way(
    clients: KafkaClients, topics: Topics
) -> None:
    read: list[bytes | None] = []

    def apply(record: ConsumerRecord) -> None:
        read.append(record.value)

    reader = CompactedTopic(clients, topics.audit, apply, often_asked=True)
    await reader.start()
    try:
        async with clients.producer() as producer, clients.consumer(topics.audit) as asking:
            took, questions = [], []
            for number in range(TIMES):
                await producer.send_and_wait(topics.audit, b"%d" % number, key=b"k", partition=0)
                await reader.catch_up()
                assert len(read) == number + 1
                began = time.monotonic()
                await reader.catch_up()
                took.append(time.monotonic() - began)
                began = time.monotonic()
                await asking.end_offsets(asking.assignment())
                questions.append(time.monotonic() - began)
        # A fetch that finds nothing takes half a second.
        assert statistics.median(took) < 0.05 + 2 * statistics.median(questions)
    finally:
        await reader.stop()


async def test_what_ends_the_reading_unforeseen_is_one_line_of_log_and_names_the_topic(
    clients: KafkaClients, topics: Topics
) -> None:
    def refuse(record: ConsumerRecord) -> None:
        raise ValueError("seven")

    reader = CompactedTopic(clients, topics.config, refuse)

    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(Part("directory", reader.start, reader.stop, reader.wait))
        async with clients.producer() as producer:
            await producer.send_and_wait(topics.config, b"1", key=b"k")

    with structlog.testing.capture_logs() as logs, pytest.raises(Ended, match="the directory ended: ValueError: seven"):
        await supervise(body)
    assert [line["event"] for line in logs] == ["ended"]
    with pytest.raises(ValueError, match="seven") as raised:
        await reader.wait()
    assert raised.value.__notes__ == [f"while {topics.config} was read"]
