"""Taking records from all partitions alike, however much one of them holds."""

import asyncio
from collections.abc import Collection, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from dispatcher.kafka.dead_letters import Record
from dispatcher.kafka.fetching import holds_records


async def take_evenly(
    consumer: AIOKafkaConsumer, *, last: Collection[TopicPartition] = (), timeout_ms: int, records: int
) -> dict[TopicPartition, Sequence[Record]]:
    """What has been fetched: of each partition so many records at most, and of those in ``last`` as many together.

    aiokafka alone gives out everything that it fetched of one partition, which may be thousands of records, before it
    looks at the next: whoever shares the consumer with a flood would wait for it. Other tasks go on in between. Where
    nothing is left to look for, they do not: the first of them makes the next request, which takes it a while.
    """
    taken: dict[TopicPartition, Sequence[Record]] = await consumer.getmany(timeout_ms=timeout_ms, max_records=records)
    more, first = taken, consumer.assignment().difference(last)
    while more and holds_records(consumer) and (others := first - taken.keys()):
        await asyncio.sleep(0)
        more = await consumer.getmany(*others, timeout_ms=0, max_records=records)
        taken |= more
    if last and taken.keys().isdisjoint(last):
        taken |= await consumer.getmany(*last, timeout_ms=0, max_records=records)
    return taken
