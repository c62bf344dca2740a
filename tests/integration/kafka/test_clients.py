from dispatcher.kafka.clients import MAX_RECORD_BYTES, KafkaClients
from dispatcher.kafka.topics import Topics
from tests.support.kafka import consume, consume_all


async def test_the_largest_record_goes_through_producer_and_consumer(clients: KafkaClients, topics: Topics) -> None:
    key, headers = b"wh-1", [("v", b"1")]
    value = b"x" * (MAX_RECORD_BYTES - len(key) - len("v1"))
    async with clients.producer() as producer:
        await producer.send_and_wait(topics.deliveries, value=value, key=key, headers=headers)
    (record,) = await consume(clients, topics.deliveries, 1)
    assert (record.key, record.value, list(record.headers)) == (key, value, headers)


async def test_what_a_topic_holds_is_read_whole(clients: KafkaClients, topics: Topics) -> None:
    assert await consume_all(clients, topics.notices) == []
    async with clients.producer() as producer:
        for number in range(30):
            await producer.send_and_wait(topics.notices, value=b"%d" % number, key=b"%d" % (number % 7))
    # Those of one millisecond and different partitions have no order.
    values = [int(record.value) for record in await consume_all(clients, topics.notices)]
    assert sorted(values) == list(range(30))
