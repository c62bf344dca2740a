"""A consumer group's work that is done one record after the other."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from dispatcher.background import Background
from dispatcher.errors import DispatcherError
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.compacted import NoLongerFollowing
from dispatcher.kafka.dead_letters import DeadLetters
from dispatcher.kafka.groups import Group
from dispatcher.kafka.topics import Topics

_BATCH_RECORDS = 500
_POLL_MS = 1_000
_PAUSE_AFTER_ERROR_SECONDS = 1.0

# One record may take as long as ClickHouse takes to erase what it holds.
_LONGEST_WORK_MS = 3600 * 1000

Handle = Callable[[ConsumerRecord], Awaitable[None]]

log = structlog.get_logger()


class SetAside(Exception):
    """A record is not what it should be: it becomes a dead letter with this reason."""


class InTurn(Background):
    """Calls ``handle`` with each record of some topics, for the group; offsets are committed when it has returned.

    A record may come again after a crash or in a rebalance. ``handle`` is called again, a moment later, when it raises
    an error of Kafka's or of the dispatcher's, or when what it follows is no longer read, which ends the process: the
    next one has the record. At ``SetAside`` the record becomes a dead letter, and at any other error too: nobody
    thought of it, and it must not keep the others from their turn. ``producer`` is started and stopped by whoever made
    it.
    """

    def __init__(
        self,
        clients: KafkaClients,
        producer: AIOKafkaProducer,
        topics: Topics,
        group: Group,
        read: Sequence[str],
        handle: Handle,
    ) -> None:
        self._clients = clients
        self._dead_letters = DeadLetters(producer, topics.dead_letter)
        self._secret = topics.config
        self._group = topics.group(group)
        self._read = read
        self._handle = handle

    async def _run(self) -> None:
        consumer = self._clients.consumer(
            *self._read, group=self._group, max_poll_interval_ms=_LONGEST_WORK_MS, rebalance_timeout_ms=10_000
        )
        try:
            await self._until_it_works(consumer.start)
            while True:
                found = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH_RECORDS)
                for partition, records in found.items():
                    for record in records:
                        await self._see_to(record)
                    await self._commit(consumer, partition, records[-1].offset + 1)
        finally:
            await consumer.stop()

    async def _see_to(self, record: ConsumerRecord) -> None:
        try:
            await self._until_it_works(partial(self._handle, record))
        except SetAside as error:
            await self._until_it_works(partial(self._set_aside, record, str(error)))
        except Exception as error:
            log.exception(
                "a record is set aside that nobody thought of",
                group=self._group,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
            )
            await self._until_it_works(partial(self._set_aside, record, f"{self._group} failed: {error!r}"))

    async def _set_aside(self, record: ConsumerRecord, reason: str) -> None:
        # What webhooks.config holds are secrets, encrypted or not: they are kept in one place.
        await self._dead_letters.send(record, reason, with_value=record.topic != self._secret)

    async def _until_it_works(self, do: Callable[[], Awaitable[Any]]) -> None:
        while True:
            try:
                await do()
            except (KafkaError, DispatcherError, NoLongerFollowing, TimeoutError) as error:
                log.warning("tried again in a moment", group=self._group, error=str(error) or repr(error))
                await asyncio.sleep(_PAUSE_AFTER_ERROR_SECONDS)
            else:
                return

    async def _commit(self, consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int) -> None:
        try:
            await consumer.commit({partition: offset})
        except (KafkaError, IllegalStateError) as error:
            log.warning("an offset is not committed; its records come again", group=self._group, error=repr(error))
