"""The webhook: what an organization configured to be called about."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, model_validator

from dispatcher.events.types import EventType
from dispatcher.events.variables import names_of
from dispatcher.rfc3339 import rfc3339
from dispatcher.webhooks.template import Template

Timestamp = Annotated[AwareDatetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]


class Person(BaseModel):
    """Who created or changed something."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str


DISPATCHER = Person(id="dispatcher", name="Dispatcher")
"""Whom a webhook and the audit name where the dispatcher itself changed something."""


class Items(BaseModel):
    """Which alerts, microservices, objects or operations a webhook is about: all, or those named."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    all: bool = False
    ids: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.all and self.ids:
            raise ValueError('give {"all": true} or {"ids": […]}, not both')
        if not self.all and not self.ids:
            raise ValueError('choose at least one item, {"ids": ["…"]}, or all of them, {"all": true}')
        return self

    @cached_property
    def _chosen(self) -> frozenset[str]:
        return frozenset(self.ids)

    def include(self, item: str) -> bool:
        """Whether the webhook is about this item."""
        return self.all or item in self._chosen

    def as_api(self) -> dict[str, Any]:
        """``{"all": true}`` or ``{"ids": […]}``."""
        return {"all": True} if self.all else {"ids": list(self.ids)}


class SigningSecret(BaseModel):
    """A Standard Webhooks secret, ``whsec_`` and base64; one that was rotated away signs until ``expires_on``."""

    model_config = ConfigDict(frozen=True)

    value: str
    expires_on: Timestamp | None = None


class Webhook(BaseModel):
    """A webhook as ``webhooks.config`` holds it (encrypted)."""

    model_config = ConfigDict(frozen=True)

    id: str
    organization_id: str
    name: str
    event_type: EventType
    target_url: str
    items: Items
    payload_template: dict[str, Any]
    headers: dict[str, str] = Field(default_factory=dict)
    rate_limit: float | None = None
    status: Literal["enabled", "disabled"] = "disabled"
    disabled_reason: str | None = None
    secrets: tuple[SigningSecret, ...]
    created_on: Timestamp
    created_by: Person
    updated_on: Timestamp
    updated_by: Person

    @property
    def enabled(self) -> bool:
        """Whether events are sent to it."""
        return self.status == "enabled"

    @cached_property
    def template(self) -> Template:
        """The payload template, compiled when it is first needed."""
        return Template(self.payload_template, names_of(self.event_type))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values, which are not checked; what follows from them is worked out anew."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("template", None)
        return copy
