"""Counting what work costs in ways that do not depend on how fast or busy a machine is."""

import gc
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient

import dispatcher
from dispatcher.kafka.clients import KafkaClients


@contextmanager
def kafka_requests(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Requests to the broker by API, such as ``Produce``, of all clients in this process while the block runs."""
    counted: Counter[str] = Counter()
    send = AIOKafkaClient.send

    async def counting(self: Any, node_id: int, request: Any, **options: Any) -> Any:
        counted[type(request).__name__.split("Request")[0]] += 1
        return await send(self, node_id, request, **options)

    with monkeypatch.context() as patch:
        patch.setattr(AIOKafkaClient, "send", counting)
        yield counted


@contextmanager
def function_calls(*packages: ModuleType) -> Iterator[Counter[ModuleType]]:
    """Calls of Python functions in this thread while the block runs, by the package that holds them: ours if not told.

    Those of other packages are not counted.
    """
    directories = {each: Path(str(each.__file__)).parent for each in packages or (dispatcher,)}
    counted: Counter[ModuleType] = Counter()
    known: dict[str, ModuleType | None] = {}

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            file = frame.f_code.co_filename
            if file not in known:
                holding = (each for each, directory in directories.items() if Path(file).is_relative_to(directory))
                known[file] = next(holding, None)
            if (package := known[file]) is not None:
                counted[package] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield counted
    finally:
        sys.setprofile(before)


def blocks_in_use() -> int:
    """Pieces of memory that Python has given out: how many allocations have not been given back."""
    gc.collect()
    return sys.getallocatedblocks()


async def records_in(clients: KafkaClients, *topics: str) -> dict[str, int]:
    """How many records have been written to topics that nothing was removed from."""
    async with clients.consumer(*topics) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
    return {topic: sum(end for tp, end in ends.items() if tp.topic == topic) for topic in topics}
