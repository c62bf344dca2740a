"""What other roles ask the portal to do: the records of ``webhooks.commands``.

A command may be read again after a crash, or by two portals during a rebalance: doing it twice changes nothing more.
"""

import asyncio
import contextlib
from typing import Annotated, Literal

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.dead_letters import DeadLetters
from dispatcher.kafka.topics import Topics
from dispatcher.portal.api.problems import Problem
from dispatcher.portal.api.webhooks import Changes
from dispatcher.webhooks.vault import UndecipherableConfig
from dispatcher.webhooks.webhook import Person, Webhook

DISPATCHER = Person(id="dispatcher", name="Dispatcher")

_PAUSE_AFTER_ERROR_SECONDS = 1.0

_log = structlog.get_logger(__name__)


class Disable(BaseModel):
    """Disable a webhook, because its target said that it is gone."""

    v: Literal[1]
    command: Literal["disable"]
    webhook_id: str
    reason: str
    time: AwareDatetime


class Erase(BaseModel):
    """Erase an organization, because its operator said so."""

    v: Literal[1]
    command: Literal["erase"]
    id: str
    organization_id: Annotated[str, Field(min_length=1)]
    time: AwareDatetime


_COMMAND: TypeAdapter[Disable | Erase] = TypeAdapter(Annotated[Disable | Erase, Field(discriminator="command")])


class CommandConsumer:
    """Carries out commands, one after the other; an offset is committed after its command has been carried out."""

    def __init__(self, clients: KafkaClients, topics: Topics, producer: AIOKafkaProducer, changes: Changes) -> None:
        self._clients = clients
        self._topics = topics
        self._dead_letters = DeadLetters(producer, topics.dead_letter)
        self._changes = changes
        self._consumer: AIOKafkaConsumer | None = None
        self._working: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Join the group and begin in the background."""
        self._consumer = self._clients.consumer(self._topics.commands, group=self._topics.group("portal"))
        await self._consumer.start()
        self._working = asyncio.create_task(self._work(self._consumer))

    async def wait(self) -> None:
        """Run until it fails or is stopped."""
        if self._working is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(self._working)

    async def stop(self) -> None:
        """Leave the group; a command that is being carried out will be read again."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait([self._working])
        if self._consumer is not None:
            await self._consumer.stop()

    async def _work(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            record = await consumer.getone()
            while True:
                try:
                    await self._carry_out(record)
                    break
                except (KafkaError, Problem, TimeoutError) as error:
                    _log.warning("a command is tried again in a moment", offset=record.offset, error=repr(error))
                    await asyncio.sleep(_PAUSE_AFTER_ERROR_SECONDS)
            try:
                await consumer.commit({TopicPartition(record.topic, record.partition): record.offset + 1})
            except KafkaError as error:
                # The command is read again, here or by another portal, which changes nothing.
                _log.warning("a command's offset is not committed", offset=record.offset, error=repr(error))

    async def _carry_out(self, record: ConsumerRecord) -> None:
        try:
            command = _COMMAND.validate_json(record.value or b"")
        except ValidationError as error:
            members = ", ".join(".".join(str(part) for part in one["loc"]) or "the record" for one in error.errors())
            await (await self._dead_letters.send(record, f"not a command of this version: {members}"))
            return
        if isinstance(command, Erase):
            return  # it takes long, and has a group of its own
        try:
            await self._changes.change(
                command.webhook_id,
                DISPATCHER,
                "disabled",
                lambda webhook, _: _disabled(webhook, command),
                reason=command.reason,
            )
        except UndecipherableConfig as error:
            await (await self._dead_letters.send(record, str(error)))


def _disabled(webhook: Webhook, command: Disable) -> dict[str, object]:
    # Whoever enabled or edited it after the target's answer has had the last word.
    if not webhook.enabled or webhook.updated_on > command.time:
        return {}
    return {"status": "disabled", "disabled_reason": command.reason}
