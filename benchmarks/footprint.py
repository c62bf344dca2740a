"""What one of each takes in memory beside its own bytes: `python -m benchmarks.footprint`."""

import asyncio
import gc
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Protocol

import psutil
from aiokafka.structs import ConsumerRecord

from benchmarks.events import OBJECTS, delivery, object_created, webhook
from benchmarks.load import received, receiver
from benchmarks.part import Figures, Part, Sizes
from dispatcher.delivery.guard import TargetGuard
from dispatcher.delivery.lanes import Lanes, Limits
from dispatcher.delivery.memory import attempt_key
from dispatcher.delivery.record import read_delivery
from dispatcher.delivery.target import Request, Target, TargetClient
from dispatcher.delivery.work import Partition, Work
from dispatcher.events.types import EventType
from dispatcher.kafka.watermark import Watermark
from dispatcher.matching.turns import Turns
from dispatcher.settings import Settings

_BODY_BYTES = 1_024
_RUN = "footprint"
_LOOK_SECONDS = 0.05
_NOW_MS = 1_795_000_000_000


class Waiting:
    """Attempts that wait in a sender, as it keeps them when it has read them."""

    def __init__(self) -> None:
        self.lanes: Lanes[Work] = Lanes(Limits())
        self.partition = Partition()
        self.watermark = Watermark(0)

    def add(self, number: int) -> None:
        given = delivery(number, _NOW_MS, b"x" * _BODY_BYTES)
        headers = tuple((name, bytes(bytearray(value))) for name, value in given.headers())
        read = read_delivery(given.key, given.body, headers)
        key = attempt_key(read.message_id, read.run, read.attempt)
        self.watermark.begin(number, number)
        work = Work(read, key, number, 0, "webhooks.deliveries", number, [(self.watermark, number)])
        self.partition.at_hand[key] = work
        self.lanes.add(work)


class Made:
    """Attempts that were made, of which a sender knows for some minutes that they were."""

    def __init__(self) -> None:
        self.partition = Partition()

    def add(self, number: int) -> None:
        self.partition.made.add(attempt_key(f"msg_{number:022d}", 1, 1), _NOW_MS + number)


class Events:
    """Events that wait in a matcher for their organization's turn."""

    def __init__(self) -> None:
        self.turns: Turns[ConsumerRecord] = Turns(key_of=lambda record: record.key, size_of=lambda _: 0)

    def add(self, number: int) -> None:
        key = b"org-%d" % (number % 100)
        value = bytes(bytearray(object_created(number, _RUN)))  # orjson's own are larger than they say
        self.turns.append(ConsumerRecord(OBJECTS, 0, number, number, 0, key, value, None, len(key), len(value), ()))


class _Kept(Protocol):
    def add(self, number: int) -> None: ...


def held() -> int:
    """Bytes of the machine's memory that this process has."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def of_each(kind: type[_Kept], count: int) -> float:
    """Bytes for each of so many, its own among them."""
    kept = kind()
    kept.add(0)
    before = held()
    for number in range(1, count + 1):
        kept.add(number)
    return (held() - before) / count


def of_a_call(url: str, count: int) -> float:
    """Bytes for each of so many calls of a target that does not answer, its connection's among them."""
    return asyncio.run(_of_a_call(url, count))


async def _of_a_call(url: str, count: int) -> float:
    settings = Settings(allowed_target_networks="127.0.0.0/8")
    client = TargetClient(settings, TargetGuard(settings.allowed_target_networks))
    target = Target.of(webhook("wh-hanging", f"{url}hanging/1"))
    request = Request("msg_1", EventType.OBJECT_CREATED, 1, b"x" * _BODY_BYTES)
    await client.call(target, request)
    await received(f"{url}hanging/hang", "PUT")
    before = held()
    calls = [asyncio.create_task(client.call(target, request)) for _ in range(count)]
    while (await received(f"{url}hanging"))["count"] <= count:  # noqa: ASYNC110 - another process counts
        await asyncio.sleep(_LOOK_SECONDS)
    each = (held() - before) / count
    await received(f"{url}hanging/ok", "PUT")
    await asyncio.gather(*calls)
    await received(f"{url}hanging", "DELETE")
    await client.close()
    return each


async def measure(sizes: Sizes, figures: Figures) -> None:
    # Each in a process of its own: what was freed there is taken again before more is asked for.
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as processes:
        async with receiver() as url:
            alone = partial(asyncio.get_running_loop().run_in_executor, processes)
            event_bytes = len(object_created(1, _RUN))
            for _ in range(sizes.runs):
                waiting = await alone(of_each, Waiting, sizes.records) - _BODY_BYTES
                figures.add("an attempt that waits, beside its body", "bytes", waiting)
                made = await alone(of_each, Made, sizes.records)
                figures.add("an attempt that was made, while it is remembered", "bytes", made)
                event = await alone(of_each, Events, sizes.records) - event_bytes
                figures.add("an event that waits to be matched, beside its own bytes", "bytes", event)
                call = await alone(of_a_call, url, sizes.calls)
                figures.add("an attempt whose call is being made, beside its body", "KiB", call / 1_024)


PART = Part(
    "footprint",
    "the memory of one attempt that waits, is being made or was made, and of one event that waits",
    measure,
    {"records": 50_000, "calls": 1_000},
)

if __name__ == "__main__":
    PART.alone()
