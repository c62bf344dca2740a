"""Where a group goes on in a partition: at what is committed, unless the log has lost that."""

from collections.abc import Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

log = structlog.get_logger()


async def positions_within(
    consumer: AIOKafkaConsumer, committed: Mapping[TopicPartition, int], remembered: int
) -> Mapping[TopicPartition, int]:
    """The committed offsets; of a log that ends before, where it was at ``remembered``, in milliseconds.

    Senders remember what they sent since then, so none of that is sent twice. After a power cut a log may be shorter
    than what was committed of it: by itself a consumer would then read all of it again, or pass over as much of what
    comes next.
    """
    ends = await consumer.end_offsets(list(committed))
    cut = [tp for tp, offset in committed.items() if offset > ends[tp]]
    if not cut:
        return committed
    lately = await consumer.offsets_for_times(dict.fromkeys(cut, remembered))
    positions = dict(committed)
    for tp in cut:
        first = lately.get(tp)
        positions[tp] = ends[tp] if first is None else first.offset
        log.warning(
            "a log ends before what was committed of it; what came lately is read again",
            topic=tp.topic,
            partition=tp.partition,
            committed=committed[tp],
            end=ends[tp],
        )
    return positions
