"""Asking for an organization to be erased, and hearing when it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from dispatcher.errors import DispatcherError
from dispatcher.events.publishing import open_producer
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.webhooks.commands import Erase


class NobodyAnswers(DispatcherError):
    """No portal has carried out the request yet."""


async def erase(clients: KafkaClients, topics: Topics, organization_id: str, within: float) -> dict[str, int]:
    """Have an organization erased by a running portal; how much there was, by what it was.

    Raises:
        NobodyAnswers: not within so many seconds. The request stands, and is carried out when a portal runs.
        KafkaUnavailable: no broker answers.
        ConfigurationError: a topic does not exist.
    """
    request = f"erase_{token_hex(12)}"
    command = Erase(v=1, command="erase", id=request, organization_id=organization_id, time=datetime.now(UTC))
    async with (
        open_producer(clients, [topics.commands, topics.notices]) as producer,
        _listening(clients, topics.notices) as notices,
    ):
        try:
            await producer.send_and_wait(topics.commands, command.encode(), key=organization_id.encode())
            async with asyncio.timeout(within):
                return await _answer(notices, request)
        except TimeoutError:
            raise NobodyAnswers(
                f"{organization_id} is not erased yet: no portal answered within {within:.0f} s. The request stays in "
                f"{topics.commands} and is carried out as soon as a portal and ClickHouse work"
            ) from None
        except KafkaError as error:
            raise clients.unavailable(error) from error


@asynccontextmanager
async def _listening(clients: KafkaClients, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = clients.consumer(topic, auto_offset_reset="latest")
    try:
        try:
            await consumer.start()
            await consumer.seek_to_end()
            for partition in consumer.assignment():
                await consumer.position(partition)
        except (KafkaError, OSError) as error:
            raise clients.unavailable(error) from error
        yield consumer
    finally:
        await consumer.stop()


async def _answer(notices: AIOKafkaConsumer, request: str) -> dict[str, int]:
    async for record in notices:
        told = _read(record.value)
        if told.get("id") == request:
            return {name: value for name, value in told["data"].items() if isinstance(value, int)}
    raise AssertionError("a consumer goes on for ever")


def _read(value: bytes | None) -> dict[str, Any]:
    try:
        told = orjson.loads(value or b"")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
