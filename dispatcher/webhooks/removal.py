"""Asking a portal to delete webhooks that cannot be read, and seeing that they are gone."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aiokafka.errors import KafkaError

from dispatcher.errors import DispatcherError
from dispatcher.events.publishing import open_producer
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.compacted import CompactedTopic
from dispatcher.kafka.topics import Topics
from dispatcher.webhooks.commands import Remove
from dispatcher.webhooks.readability import Readability
from dispatcher.webhooks.vault import Vault

_LOOK_SECONDS = 0.1


class NotUnreadable(DispatcherError):
    """A webhook that was named can be read, or is not there."""


class NotRemoved(DispatcherError):
    """No portal has deleted them yet."""


class Removal:
    """``webhooks.config`` while somebody looks at it, and asks."""

    def __init__(self, clients: KafkaClients, topics: Topics, found: Readability) -> None:
        self._clients = clients
        self._topics = topics
        self._found = found

    @property
    def unreadable(self) -> Sequence[str]:
        """The webhooks that cannot be read with these settings."""
        return [*self._found.undecipherable, *self._found.of_another_version]

    def check(self, ids: Collection[str]) -> None:
        """Whether they may be removed.

        Raises:
            NotUnreadable: one of them is no webhook that cannot be read.
        """
        for id in ids:
            if id not in self._found.states:
                raise NotUnreadable(f"there is no webhook {id}; `dispatcher doctor` names those that cannot be read")
            if self._found.states[id] is None:
                raise NotUnreadable(f"{id} can be read: delete it on its page, or with DELETE in the API")

    async def remove(self, ids: Collection[str], within: float) -> None:
        """Have a running portal delete them.

        Raises:
            NotRemoved: not within so many seconds. The request stands.
            KafkaUnavailable: no broker answers.
            ConfigurationError: a topic does not exist.
        """
        now = datetime.now(UTC)
        async with open_producer(self._clients, [self._topics.commands]) as producer:
            try:
                sent = [
                    await producer.send(
                        self._topics.commands,
                        Remove(v=1, command="remove", webhook_id=id, time=now).encode(),
                        key=id.encode(),
                    )
                    for id in ids
                ]
                await asyncio.gather(*sent)
            except KafkaError as error:
                raise self._clients.unavailable(error) from error
        try:
            async with asyncio.timeout(within):
                while self._found.states.keys() & set(ids):  # noqa: ASYNC110 - what changes them is a reader of Kafka
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            left = len(self._found.states.keys() & set(ids))
            raise NotRemoved(
                f"{left} of {len(ids)} are not deleted after {within:.0f} s. The request stays in "
                f"{self._topics.commands} until a portal runs, which deletes only what it cannot read itself"
            ) from None


@asynccontextmanager
async def looking(clients: KafkaClients, topics: Topics, vault: Vault) -> AsyncIterator[Removal]:
    """Read ``webhooks.config``, and go on reading while something is removed.

    Raises:
        KafkaUnavailable: no broker answers.
        ConfigurationError: the topic does not exist.
    """
    found = Readability(vault)
    reader = CompactedTopic(clients, topics.config, found.apply)
    try:
        await reader.start()
        yield Removal(clients, topics, found)
    finally:
        await reader.stop()
