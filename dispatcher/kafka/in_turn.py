"""A consumer group's work that is done one record after the other."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from dispatcher.background import Background
from dispatcher.errors import DispatcherError
from dispatcher.kafka.clients import KafkaClients

_BATCH_RECORDS = 500
_POLL_MS = 1_000
_PAUSE_AFTER_ERROR_SECONDS = 1.0

# One record may take as long as ClickHouse takes to erase what it holds.
_LONGEST_WORK_MS = 3600 * 1000

Handle = Callable[[ConsumerRecord], Awaitable[None]]

log = structlog.get_logger(__name__)


class InTurn(Background):
    """Calls ``handle`` with each record of some topics, for the group; offsets are committed when it has returned.

    A record may come again after a crash or in a rebalance. ``handle`` is called again, a moment later, when it raises
    an error of Kafka's or of the dispatcher's; anything else ends the work.
    """

    def __init__(self, clients: KafkaClients, group: str, topics: Sequence[str], handle: Handle) -> None:
        self._clients = clients
        self._group = group
        self._topics = topics
        self._handle = handle

    async def _run(self) -> None:
        consumer = self._clients.consumer(
            *self._topics, group=self._group, max_poll_interval_ms=_LONGEST_WORK_MS, rebalance_timeout_ms=10_000
        )
        try:
            await self._until_it_works(consumer.start)
            while True:
                found = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH_RECORDS)
                for partition, records in found.items():
                    for record in records:
                        await self._until_it_works(partial(self._handle, record))
                    await self._commit(consumer, partition, records[-1].offset + 1)
        finally:
            await consumer.stop()

    async def _until_it_works(self, do: Callable[[], Awaitable[Any]]) -> None:
        while True:
            try:
                await do()
            except (KafkaError, DispatcherError, TimeoutError) as error:
                log.warning("tried again in a moment", group=self._group, error=str(error) or repr(error))
                await asyncio.sleep(_PAUSE_AFTER_ERROR_SECONDS)
            else:
                return

    async def _commit(self, consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int) -> None:
        try:
            await consumer.commit({partition: offset})
        except (KafkaError, IllegalStateError) as error:
            log.warning("an offset is not committed; its records come again", group=self._group, error=repr(error))
