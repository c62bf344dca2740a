import asyncio
from collections import Counter
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from dispatcher.kafka.polling import take_evenly

TPS = [TopicPartition("a", number) for number in range(3)]


class Consumer:
    """Holds so many records of each partition; how often others had their turn while they were taken."""

    def __init__(self, **held: int) -> None:
        self._fetcher = SimpleNamespace(_records={TopicPartition("a", int(name[1:])): n for name, n in held.items()})
        self.rounds = 0

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(TPS)

    async def getmany(self, *tps: TopicPartition, max_records: int, **_: int) -> dict[TopicPartition, list[int]]:
        asyncio.get_running_loop().call_soon(self._count)
        records, taken = self._fetcher._records, Counter[TopicPartition]()
        for tp in [tp for tp in records if not tps or tp in tps]:
            taken[tp] = min(records[tp], max_records - taken.total())
            records[tp] -= taken[tp]
            if not records[tp]:
                del records[tp]
        return {tp: [0] * number for tp, number in taken.items() if number}

    def _count(self) -> None:
        self.rounds += 1


async def take(consumer: Any) -> dict[TopicPartition, int]:
    taken = await take_evenly(consumer, timeout_ms=0, records=2)
    return {tp: len(records) for tp, records in taken.items()}


async def test_of_each_partition_as_many_are_taken_and_others_go_on_in_between() -> None:
    consumer = Consumer(p0=5, p1=3, p2=9)
    assert await take(consumer) == {TPS[0]: 2, TPS[1]: 2, TPS[2]: 2}
    assert consumer.rounds >= 1


async def test_nothing_is_waited_for_where_all_has_been_taken() -> None:
    consumer = Consumer(p1=2)
    assert await take(consumer) == {TPS[1]: 2}
    assert consumer.rounds == 0
