"""Reading what partitions hold now, and no further."""

from collections.abc import AsyncIterator, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

_POLL_MS = 1_000


async def read_up_to(
    consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]
) -> AsyncIterator[tuple[TopicPartition, Sequence[ConsumerRecord]]]:
    """The records from where a consumer stands in these partitions up to these offsets, a partition at a time.

    Records that came meanwhile may follow them.
    """
    while left := [tp for tp, end in ends.items() if await consumer.position(tp) < end]:
        for tp, records in (await consumer.getmany(*left, timeout_ms=_POLL_MS)).items():
            yield tp, records
