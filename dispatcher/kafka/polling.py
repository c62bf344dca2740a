"""Taking records from all partitions alike, however much one of them holds."""

from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from dispatcher.kafka.dead_letters import Record


async def take_evenly(
    consumer: AIOKafkaConsumer, *, timeout_ms: int, records: int
) -> dict[TopicPartition, Sequence[Record]]:
    """What has been fetched: of each partition so many records at most.

    aiokafka alone gives out everything that it fetched of one partition, which may be thousands of records, before it
    looks at the next: whoever shares the consumer with a flood would wait for it.
    """
    taken: dict[TopicPartition, Sequence[Record]] = await consumer.getmany(timeout_ms=timeout_ms, max_records=records)
    more = taken
    while more and (others := consumer.assignment() - taken.keys()):
        more = await consumer.getmany(*others, timeout_ms=0, max_records=records)
        taken |= more
    return taken
