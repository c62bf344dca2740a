"""Counting what work costs in ways that do not depend on how fast or busy a machine is."""

import gc
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient

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
def function_calls(*parts: str) -> Iterator[Counter[str]]:
    """Calls of Python functions in this thread while the block runs, by the part of the path that holds them.

    A function belongs to the first of ``parts`` that its file's path has in it; others are not counted.
    """
    counted: Counter[str] = Counter()
    known: dict[str, str | None] = {}

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            file = frame.f_code.co_filename
            if file not in known:
                known[file] = next((part for part in parts if part in Path(file).as_posix()), None)
            if (part := known[file]) is not None:
                counted[part] += 1

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
