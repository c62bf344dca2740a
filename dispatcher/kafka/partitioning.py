"""Which partition a webhook's records go to: the one that Kafka's default partitioner gives its id."""

from functools import lru_cache

from aiokafka.partitioner import murmur2


# The hash is pure Python and costs several microseconds: as much as the rest of writing a record.
@lru_cache(maxsize=65_536)
def partition_of(webhook_id: str, partitions: int) -> int:
    """The partition of a key, out of ``partitions``, as every other Kafka client computes it."""
    return int(murmur2(webhook_id.encode()) & 0x7FFFFFFF) % partitions
