"""A consumer's connections are closed and nobody else is cancelled, however aiokafka's own stop goes wrong."""

import asyncio
from collections.abc import Awaitable, Callable
from unittest.mock import AsyncMock

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError

from dispatcher.kafka import consumer as consumers
from dispatcher.kafka.consumer import Consumer


async def hangs() -> None:
    await asyncio.Event().wait()


async def hangs_once_more() -> None:
    try:
        await hangs()
    except asyncio.CancelledError:
        await hangs()


async def cancels() -> None:
    raise asyncio.CancelledError


async def fails() -> None:
    raise KafkaConnectionError


@pytest.mark.parametrize("stop", [hangs, hangs_once_more, cancels, fails])
async def test_it_stops(stop: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    async def stop_of_aiokafka(_: AIOKafkaConsumer) -> None:
        await stop()

    monkeypatch.setattr(AIOKafkaConsumer, "stop", stop_of_aiokafka)
    monkeypatch.setattr(consumers, "_STOPS_WITHIN_SECONDS", 0.05)
    monkeypatch.setattr(consumers, "_ENDS_WITHIN_SECONDS", 0.05)
    consumer = Consumer(bootstrap_servers="127.0.0.1:1")
    consumer._client = AsyncMock()
    await consumer.stop()
    consumer._client.close.assert_awaited_once()
    consumer._closed = True


async def test_one_that_stops_well_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AIOKafkaConsumer, "stop", AsyncMock())
    consumer = Consumer(bootstrap_servers="127.0.0.1:1")
    consumer._client = AsyncMock()
    await consumer.stop()
    consumer._client.close.assert_not_awaited()
    consumer._closed = True


@pytest.mark.parametrize("how", ["fails", "is cancelled"])
async def test_a_start_that_goes_wrong_leaves_nothing_open(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    began = asyncio.Event()

    async def start_of_aiokafka(_: AIOKafkaConsumer) -> None:
        began.set()
        await (fails() if how == "fails" else hangs())

    monkeypatch.setattr(AIOKafkaConsumer, "start", start_of_aiokafka)
    consumer = Consumer(bootstrap_servers="127.0.0.1:1")
    consumer._client = AsyncMock()
    starting = asyncio.create_task(consumer.start())
    await began.wait()
    if how == "is cancelled":
        starting.cancel()
    with pytest.raises(KafkaConnectionError if how == "fails" else asyncio.CancelledError):
        await starting
    consumer._client.close.assert_awaited_once()
    assert consumer._closed
