import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from dispatcher.demo import demonstration
from dispatcher.demo.demonstration import Demonstration
from dispatcher.demo.targets import Addresses
from dispatcher.errors import ClickHouseUnavailable, KafkaUnavailable
from dispatcher.events.publishing import PublishingBroken
from dispatcher.events.types import EventType


async def test_goes_on_when_kafka_did_not_take_events_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[Exception] = [
        KafkaUnavailable("it does not answer"),
        PublishingBroken("Kafka stopped taking events"),
    ]
    publishing = asyncio.Event()

    @asynccontextmanager
    async def producer(*_: object) -> AsyncIterator[None]:
        if failures and isinstance(failures[0], KafkaUnavailable):
            raise failures.pop(0)
        yield

    async def simulate(*_: object, stop: asyncio.Event, published: Counter[EventType], **__: object) -> None:
        published[EventType.OBJECT_CREATED] += 1
        if failures:
            raise failures.pop(0)
        publishing.set()
        await stop.wait()

    async def no_webhooks(*_: object) -> int:
        return 0

    async def no_answer(_: str) -> Any:
        raise ClickHouseUnavailable("asleep")

    monkeypatch.setattr(demonstration, "open_producer", producer)
    monkeypatch.setattr(demonstration, "simulate", simulate)
    monkeypatch.setattr(demonstration, "create_webhooks", no_webhooks)
    monkeypatch.setattr(demonstration, "_PUBLISH_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(demonstration, "_TELL_AFTER_SECONDS", (0.01,))
    said: asyncio.Queue[str] = asyncio.Queue()
    assembly: Any = SimpleNamespace(
        topics=SimpleNamespace(events={}, resources="portal.resources"),
        clients=None,
        clickhouse=SimpleNamespace(query=no_answer),
    )
    service = Demonstration(
        assembly, Addresses(1, 2), api="", token=lambda _: "", say=said.put_nowait, random=Random(1)
    )
    with structlog.testing.capture_logs() as logs:
        await service.start()
        await asyncio.wait_for(publishing.wait(), 5)
        while "2 events published" not in await asyncio.wait_for(said.get(), 5):
            pass
        await service.stop()
    await service.wait()
    assert [line["error"] for line in logs] == ["it does not answer", "Kafka stopped taking events"]
