"""What other roles ask the portal to do: the records of ``webhooks.commands``.

A command may be read again after a crash, or by two portals during a rebalance: doing it twice changes nothing more.
"""

from typing import Annotated, Literal

import structlog
from aiokafka import AIOKafkaProducer, ConsumerRecord
from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError

from dispatcher.errors import DispatcherError
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.groups import Group
from dispatcher.kafka.in_turn import InTurn, SetAside
from dispatcher.kafka.topics import Topics
from dispatcher.portal.api.problems import Problem
from dispatcher.portal.changes import Changes
from dispatcher.validation import members_of
from dispatcher.webhooks.vault import UndecipherableConfig
from dispatcher.webhooks.webhook import Person, Webhook

log = structlog.get_logger()

DISPATCHER = Person(id="dispatcher", name="Dispatcher")


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


class Remove(BaseModel):
    """Delete a webhook that cannot be read, because an operator said so."""

    v: Literal[1]
    command: Literal["remove"]
    webhook_id: Annotated[str, Field(min_length=1)]
    time: AwareDatetime


class RecoveredSpan(BaseModel):
    """From ``since`` up to ``until``."""

    since: AwareDatetime
    until: AwareDatetime


class Recover(BaseModel):
    """Send again what failed at a webhook, because somebody of its organization said so."""

    v: Literal[1]
    command: Literal["recover"]
    webhook_id: str
    spans: list[RecoveredSpan]
    time: AwareDatetime


_COMMAND: TypeAdapter[Disable | Erase | Recover | Remove] = TypeAdapter(
    Annotated[Disable | Erase | Recover | Remove, Field(discriminator="command")]
)


class NotCarriedOut(DispatcherError):
    """Something kept a command from being carried out; it is tried again."""


class Commands:
    """Carries out commands, one after the other."""

    def __init__(self, topics: Topics, producer: AIOKafkaProducer, changes: Changes) -> None:
        self._topics = topics
        self._producer = producer
        self._changes = changes

    def work(self, clients: KafkaClients) -> InTurn:
        """The work of the group."""
        return InTurn(clients, self._producer, self._topics, Group.PORTAL, [self._topics.commands], self._carry_out)

    async def _carry_out(self, record: ConsumerRecord) -> None:
        try:
            command = _COMMAND.validate_json(record.value or b"")
        except ValidationError as error:
            raise SetAside(f"not a command of this version: {members_of(error)}") from None
        if isinstance(command, Remove):
            removed = await self._changes.remove_unreadable(command.webhook_id, DISPATCHER)
            log.info("a webhook was to be removed", webhook_id=command.webhook_id, removed=removed)
            return
        if not isinstance(command, Disable):
            return  # what takes long has a group of its own
        try:
            await self._changes.change(
                command.webhook_id,
                DISPATCHER,
                "disabled",
                lambda webhook, _: _disabled(webhook, command),
                reason=command.reason,
            )
        except Problem as problem:
            raise NotCarriedOut(str(problem)) from problem
        except UndecipherableConfig as error:
            raise SetAside(str(error)) from error


def _disabled(webhook: Webhook, command: Disable) -> dict[str, object]:
    # Whoever enabled or edited it since it was what was called has had the last word: that was not tried yet.
    if not webhook.enabled or webhook.updated_on > command.time:
        return {}
    return {"status": "disabled", "disabled_reason": command.reason}
