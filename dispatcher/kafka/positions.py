"""Where a group goes on in a partition: at what is committed, unless the log has lost that."""

from collections.abc import Mapping
from datetime import timedelta

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from dispatcher.durations import milliseconds_of

# What senders remember to have sent: of these records none is sent twice.
_LATELY = timedelta(minutes=10)

log = structlog.get_logger()


async def positions_within(
    consumer: AIOKafkaConsumer, committed: Mapping[TopicPartition, int], now: int
) -> Mapping[TopicPartition, int]:
    """The committed offsets; of a log that ends before, where it was ten minutes before ``now`` (milliseconds).

    After a power cut a log may be shorter than what was committed of it. By itself a consumer would then read all of it
    again, or pass over as much of what comes next.
    """
    ends = await consumer.end_offsets(list(committed))
    cut = [tp for tp, offset in committed.items() if offset > ends[tp]]
    if not cut:
        return committed
    lately = await consumer.offsets_for_times(dict.fromkeys(cut, now - milliseconds_of(_LATELY)))
    positions = dict(committed)
    for tp in cut:
        first = lately.get(tp)
        positions[tp] = ends[tp] if first is None else first.offset
        log.warning(
            "a log ends before what was committed of it; what came in the last ten minutes is read again",
            topic=tp.topic,
            partition=tp.partition,
            committed=committed[tp],
            end=ends[tp],
        )
    return positions
