"""Being the only one: a consumer group as a lock on the cluster, let go of by whoever ends or is killed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaError

from dispatcher.errors import DispatcherError
from dispatcher.kafka.administration import connected
from dispatcher.kafka.clients import KafkaClients

_FOR_A_DAY_MS = 24 * 3600 * 1000


class SomebodyElse(DispatcherError):
    """Another process holds the lock."""


@asynccontextmanager
async def sole_member(clients: KafkaClients, topic: str, group: str) -> AsyncIterator[None]:
    """Be the only member of a group while the block runs; of two that come at once, perhaps neither is let in.

    Raises:
        SomebodyElse: the group has another member, or had one that was killed within the last six seconds.
        KafkaUnavailable: no broker answers.
        NotAllowed: the user may not join the group.
        TopicRefused: the cluster does not say who its members are.
    """
    # Nothing is read: it need not poll to stay.
    consumer = clients.consumer(topic, group=group, max_poll_interval_ms=_FOR_A_DAY_MS, rebalance_timeout_ms=10_000)
    try:
        try:
            await consumer.start()
            consumer.pause(*consumer.assignment())
            members = await _members(clients, group)
        except (KafkaError, OSError) as error:
            raise clients.unavailable(error) from error
        if members > 1:
            raise SomebodyElse(f"another process works as {group}: wait until it has ended, and start again")
        yield
    finally:
        await consumer.stop()


async def _members(clients: KafkaClients, group: str) -> int:
    async with connected(clients) as admin:
        _, members = await admin.group(group)
    return len(members)
