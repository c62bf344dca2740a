import asyncio
import gc

import pytest
from aiokafka.errors import ProducerClosed

from dispatcher.kafka.batching import BatchingProducer
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from tests.support.kafka import consume_all


async def test_each_record_learns_where_it_is(clients: KafkaClients, topics: Topics) -> None:
    async with clients.producer(max_batch_size=4_000) as producer:
        batches = BatchingProducer(producer, linger=0.01)
        sent = [
            batches.send(
                topics.attempts, number % 3, key=b"w", value=b"%d" % number + b" " * 100, headers=[("n", b"1")]
            )
            for number in range(300)
        ]
        stored = await asyncio.gather(*sent)
    found = {(record.partition, record.offset): record for record in await consume_all(clients, topics.attempts)}
    assert len(found) == 300
    for number, where in enumerate(stored):
        record = found[number % 3, where.offset]
        assert (int(record.value), record.timestamp, record.headers) == (number, where.timestamp, (("n", b"1"),))


async def test_a_record_larger_than_a_batch_is_sent_alone(clients: KafkaClients, topics: Topics) -> None:
    async with clients.producer(max_batch_size=1_000) as producer:
        batches = BatchingProducer(producer, linger=0.01)
        values = [b"small", b"x" * 200_000, b"last"]
        await asyncio.gather(*(batches.send(topics.parked, 0, key=b"w", value=value, headers=[]) for value in values))
    assert {record.value for record in await consume_all(clients, topics.parked)} == set(values)


async def test_who_waits_hears_of_an_error_and_giving_up_concerns_nobody_else(
    clients: KafkaClients, topics: Topics
) -> None:
    producer = clients.producer()
    await producer.start()
    batches = BatchingProducer(producer, linger=0.01)
    given_up, other = (batches.send(topics.attempts, 0, key=b"w", value=b"1", headers=[]) for _ in range(2))
    given_up.cancel()
    assert (await other).offset == 1
    await producer.stop()
    with pytest.raises(ProducerClosed):
        await batches.send(topics.attempts, 0, key=b"w", value=b"2", headers=[])


async def test_an_error_for_which_nobody_waits_is_no_line_of_log(clients: KafkaClients, topics: Topics) -> None:
    loop, told = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: told.append(context["message"]))
    producer = clients.producer()
    await producer.start()
    batches = BatchingProducer(producer, linger=0.01)
    await batches.send(topics.attempts, 0, key=b"w", value=b"1", headers=[])
    await producer.stop()
    ignored, waited_for = (batches.send(topics.attempts, 0, key=b"w", value=b"1", headers=[]) for _ in range(2))
    with pytest.raises(ProducerClosed):
        await waited_for
    del ignored
    gc.collect()
    assert told == []
