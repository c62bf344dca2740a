"""Dead letters: records that could not be understood, kept as they came with the reason in their headers."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer

from dispatcher.observability.metrics import DEAD_LETTERS


class Record(Protocol):
    """What is needed of a consumed record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class DeadLetters:
    """Writes to ``webhooks.dead-letter``."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def send(self, record: Record, reason: str) -> asyncio.Future[Any]:
        """Set a record aside; the future ends when the broker has it, and only then may its offset be committed."""
        DEAD_LETTERS.labels(record.topic).inc()
        headers = [
            *record.headers,
            ("dead-letter-reason", reason.encode(errors="replace")),
            ("dead-letter-topic", record.topic.encode()),
            ("dead-letter-partition", b"%d" % record.partition),
            ("dead-letter-offset", b"%d" % record.offset),
            ("dead-letter-time", b"%d" % record.timestamp),
        ]
        future: asyncio.Future[Any] = await self._producer.send(
            self._topic, value=record.value, key=record.key, headers=headers
        )
        return future
