"""The records of ``webhooks.commands``: what other roles ask the portal, the only writer of webhooks, to do."""

from typing import Annotated, Literal

import orjson
from pydantic import AwareDatetime, BaseModel, Field, PlainSerializer, TypeAdapter, ValidationError

from dispatcher.moments import milliseconds
from dispatcher.validation import members_of

_Moment = Annotated[AwareDatetime, PlainSerializer(milliseconds, return_type=int)]


class UnreadableCommand(ValueError):
    """A record that is no command of a format this version reads."""


class _Command(BaseModel):
    """What all commands have."""

    v: Literal[1]

    def encode(self) -> bytes:
        """The record's value."""
        return orjson.dumps(self.model_dump())


class Disable(_Command):
    """Disable a webhook, because its target said that it is gone; people are shown ``reason``.

    ``time`` is when the webhook became what was called: changed since, it is left alone.
    """

    command: Literal["disable"]
    webhook_id: str
    reason: str
    time: _Moment


class Erase(_Command):
    """Erase an organization, because its operator said so; what was done is told in a notice with this ``id``."""

    command: Literal["erase"]
    id: str
    organization_id: Annotated[str, Field(min_length=1)]
    time: _Moment


class Remove(_Command):
    """Delete a webhook that the portal cannot read, because an operator said so."""

    command: Literal["remove"]
    webhook_id: Annotated[str, Field(min_length=1)]
    time: _Moment


class RecoveredSpan(BaseModel):
    """From ``since`` up to ``until``."""

    since: _Moment
    until: _Moment


class Recover(_Command):
    """Send again what failed at a webhook, because somebody of its organization said so."""

    command: Literal["recover"]
    webhook_id: str
    spans: list[RecoveredSpan]
    time: _Moment


Command = Disable | Erase | Recover | Remove

_COMMAND: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="command")])


def read_command(value: bytes | None) -> Command:
    """The command with this value.

    Raises:
        UnreadableCommand: it is none; the message names what is wrong with it.
    """
    try:
        return _COMMAND.validate_json(value or b"")
    except ValidationError as error:
        raise UnreadableCommand(f"not a command of this version: {members_of(error)}") from None
