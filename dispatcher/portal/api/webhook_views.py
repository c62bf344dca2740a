"""Webhooks as the API takes and shows them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from dispatcher.events.types import EventType
from dispatcher.portal.api.operation import Body
from dispatcher.rfc3339 import rfc3339
from dispatcher.webhooks import target_headers
from dispatcher.webhooks.target_url import check_target_url
from dispatcher.webhooks.template import check_template
from dispatcher.webhooks.webhook import Items, Person, Webhook

MAX_ITEMS = 10_000


def _has_text(text: str) -> str:
    if not text.strip():
        raise ValueError("write a name; it cannot be blank")
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        raise ValueError("the name contains line breaks or control characters; remove them")
    return text.strip()


def _rfc3339_text(value: object) -> object:
    if not isinstance(value, datetime) and not (isinstance(value, str) and "T" in value.upper()):
        raise ValueError("write a time as RFC 3339 has it, such as 2026-11-23T10:15:04.120Z")
    return value


Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_rfc3339_text)]
ShownMoment = Annotated[AwareDatetime, PlainSerializer(rfc3339, return_type=str)]

Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_has_text)]
TargetUrl = Annotated[str, Field(description="http or https, without credentials"), AfterValidator(check_target_url)]
PayloadTemplate = Annotated[
    dict[str, Any],
    Field(description="A JSON object; each #variable of the event type in its strings is replaced by its value"),
    AfterValidator(check_template),
]
RateLimit = Annotated[
    float, Field(ge=0.001, le=10_000, description="Attempts a second, at most: 0.001 to 10,000; null: no limit")
]
Headers = Annotated[
    dict[str, str], Field(description=f"Sent with every attempt; a value of {target_headers.MASK} means unchanged")
]
AnEventType = Annotated[EventType, Field(strict=False)]
_ItemId = Annotated[str, Field(min_length=1, max_length=500)]

_ITEMS_SCHEMA = {
    "oneOf": [
        {
            "type": "object",
            "properties": {"all": {"const": True}},
            "required": ["all"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "ids": {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1, "maxLength": 500},
                    "minItems": 1,
                    "maxItems": MAX_ITEMS,
                    "uniqueItems": True,
                }
            },
            "required": ["ids"],
            "additionalProperties": False,
        },
    ]
}


class _ItemsBody(Body):
    all: bool = False
    ids: Annotated[list[_ItemId], Field(max_length=MAX_ITEMS)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        items_of(self)
        return self


def items_of(chosen: _ItemsBody) -> Items:
    """The items that somebody chose, each once.

    Raises:
        ValueError: none are chosen, or all and some.
    """
    if chosen.all and chosen.ids:
        raise ValueError('give {"all": true} or {"ids": […]}, not both')
    if not chosen.all and not chosen.ids:
        raise ValueError('choose at least one item, {"ids": ["…"]}, or all of them, {"all": true}')
    return Items(all=chosen.all, ids=tuple(dict.fromkeys(chosen.ids)))


ChosenItems = Annotated[_ItemsBody, WithJsonSchema(_ITEMS_SCHEMA)]
ShownItems = Annotated[Items, PlainSerializer(Items.as_api), WithJsonSchema(_ITEMS_SCHEMA, mode="serialization")]


class NewWebhook(Body):
    """What is needed to create a webhook."""

    name: Name
    event_type: AnEventType
    target_url: TargetUrl
    items: ChosenItems
    payload_template: PayloadTemplate
    headers: Annotated[Headers, AfterValidator(target_headers.check_target_headers)] = Field(default_factory=dict)
    rate_limit: RateLimit | None = None


class WebhookChange(Body):
    """The members of a webhook that are to be replaced; those that are left out stay.

    The defaults only say that a member may be left out, which ``model_fields_set`` tells; they are never used.
    """

    name: Name = Field(default_factory=str)
    event_type: AnEventType = Field(default_factory=lambda: EventType.ACTIVE_ALERT)
    target_url: TargetUrl = Field(default_factory=str)
    items: ChosenItems = Field(default_factory=lambda: _ItemsBody(all=True))
    payload_template: PayloadTemplate = Field(default_factory=dict)
    headers: Annotated[Headers, AfterValidator(target_headers.check_but_masked)] = Field(default_factory=dict)
    rate_limit: RateLimit | None = Field(default_factory=lambda: None)

    def members(self, webhook: Webhook) -> dict[str, Any]:
        """What a webhook has to have instead, checked headers included.

        Raises:
            BadMembers: some headers cannot be sent; the messages name them.
        """
        named: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        if "items" in named:
            named["items"] = items_of(self.items)
        if "headers" in named:
            merged = target_headers.merge_masked(self.headers, webhook.headers)
            named["headers"] = target_headers.check_target_headers(merged)
        return named


class WebhookView(BaseModel):
    """A webhook. The values of its headers are masked."""

    model_config = ConfigDict(title="Webhook")

    id: str
    name: str
    event_type: EventType
    target_url: str
    items: ShownItems
    payload_template: dict[str, Any]
    headers: dict[str, str]
    rate_limit: float | None
    status: Literal["enabled", "disabled"]
    disabled_reason: str | None
    created_on: ShownMoment
    created_by: Person
    updated_on: ShownMoment
    updated_by: Person


class CreatedWebhook(WebhookView):
    """A webhook that was just created, with its signing secret, which is not shown again."""

    model_config = ConfigDict(title="CreatedWebhook")

    secret: str


class WebhookList(BaseModel):
    """A page of webhooks, the newest first."""

    items: list[WebhookView]
    next_cursor: str | None


class RotatedSecret(BaseModel):
    """The new signing secret; the one before signs too for 24 hours."""

    secret: str


def view(webhook: Webhook) -> WebhookView:
    """The webhook as the API shows it."""
    return WebhookView(**_members(webhook))


def created_view(webhook: Webhook) -> CreatedWebhook:
    """The webhook as the answer to its creation shows it."""
    return CreatedWebhook(**_members(webhook), secret=webhook.secrets[0].value)


def _members(webhook: Webhook) -> Mapping[str, Any]:
    shown = {name: getattr(webhook, name) for name in WebhookView.model_fields}
    return {**shown, "headers": target_headers.mask(webhook.headers)}
