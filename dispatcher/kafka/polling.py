"""Taking records from all partitions alike, however much one of them holds."""

from collections.abc import Collection, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from dispatcher.kafka.dead_letters import Record

_WAIT_WHILE_BUSY_MS = 3

# An answer of a request is read in as many rounds of the event loop as it has some 100 KB, and no other request is made
# meanwhile: a flood's megabytes would keep everybody else's few records waiting for all of them.
_ANSWER_BYTES = 512 * 1024
_OF_A_PARTITION_BYTES = 128 * 1024

# What is taken at once is asked for again together with all the others: a request without it would keep what comes next
# waiting for that request's end.
_TAKEN_AT_ONCE_SECONDS = 0.002


def fetch_evenly(consumer: AIOKafkaConsumer) -> None:
    """Have a started consumer ask for the partitions of which it holds nothing, while records of others wait in it.

    aiokafka alone asks for nothing for 0.1 s after each answer that has not been used up. And while one request waits
    at the broker for new records, it sends no other: a flooded partition would wait for the idle ones to have some. So
    requests do not wait there long as long as there is much to do.
    """
    fetcher: Any = consumer._fetcher  # noqa: SLF001 - the constructor has no parameter for either
    choose, patiently = fetcher._get_actions_per_node, fetcher._fetch_max_wait_ms  # noqa: SLF001

    def choose_evenly(assignment: Any) -> Any:
        fetcher._fetch_max_wait_ms = _WAIT_WHILE_BUSY_MS if fetcher._records else patiently  # noqa: SLF001
        return choose(assignment)

    fetcher._fetch_max_bytes, fetcher._max_partition_fetch_bytes = _ANSWER_BYTES, _OF_A_PARTITION_BYTES  # noqa: SLF001
    fetcher._prefetch_backoff = _TAKEN_AT_ONCE_SECONDS  # noqa: SLF001
    fetcher._get_actions_per_node = choose_evenly  # noqa: SLF001


async def take_evenly(
    consumer: AIOKafkaConsumer, *, last: Collection[TopicPartition] = (), timeout_ms: int, records: int
) -> dict[TopicPartition, Sequence[Record]]:
    """What has been fetched: of each partition so many records at most, and of those in ``last`` as many together.

    aiokafka alone gives out everything that it fetched of one partition, which may be thousands of records, before it
    looks at the next: whoever shares the consumer with a flood would wait for it.
    """
    taken: dict[TopicPartition, Sequence[Record]] = await consumer.getmany(timeout_ms=timeout_ms, max_records=records)
    more, first = taken, consumer.assignment().difference(last)
    while more and (others := first - taken.keys()):
        more = await consumer.getmany(*others, timeout_ms=0, max_records=records)
        taken |= more
    if last and taken.keys().isdisjoint(last):
        taken |= await consumer.getmany(*last, timeout_ms=0, max_records=records)
    return taken
