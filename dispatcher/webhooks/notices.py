"""The records of ``webhooks.notices``, for operators' own systems: CloudEvents 1.0 in structured JSON mode.

``id`` follows from what is told, so that whoever hears of the same thing twice can tell.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from dispatcher.webhooks.webhook import Timestamp, Webhook

_Moment = Annotated[Timestamp, WithJsonSchema({"type": "string", "format": "date-time"})]


class Notice(BaseModel):
    """A CloudEvents 1.0 event in structured JSON mode."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)

    specversion: Literal["1.0"] = "1.0"
    id: Annotated[str, Field(description="The same again when the same thing is told twice")]
    source: Literal["/webhooks/dispatcher"] = "/webhooks/dispatcher"
    time: _Moment
    datacontenttype: Literal["application/json"] = "application/json"

    def encode(self) -> bytes:
        """The record's value."""
        return self.model_dump_json().encode()


class FailedMessage(BaseModel):
    """Which message, and why."""

    organization_id: str
    webhook_id: str
    event_type: str
    message_id: str
    run: int
    attempts: Annotated[int, Field(description="How often the message was tried in this run")]
    reason: Annotated[str, Field(description="Why, for programs")]
    error: Annotated[str, Field(description="Why, for people")]


class MessageFailed(Notice):
    """A message will not be tried again."""

    type: Literal["message_failed"] = "message_failed"
    data: FailedMessage


class DisabledWebhook(BaseModel):
    """Which webhook, and why."""

    organization_id: str
    webhook_id: str
    name: str
    reason: Annotated[str, Field(description="Why, for people: the webhook's disabled_reason")]


class WebhookDisabled(Notice):
    """The dispatcher disabled a webhook: its target is gone, or has failed for days."""

    type: Literal["webhook_disabled"] = "webhook_disabled"
    data: DisabledWebhook


class ErasedOrganization(BaseModel):
    """Which organization, and how much there was of it."""

    organization_id: str
    webhooks: int
    resources: int
    messages: int
    undecipherable: Annotated[
        int, Field(description="Webhooks that may be the organization's; nobody can decrypt them")
    ]


class OrganizationErased(Notice):
    """An organization was erased, as the operator asked; the id is the request's."""

    type: Literal["organization_erased"] = "organization_erased"
    data: ErasedOrganization


NOTICES: tuple[type[Notice], ...] = (MessageFailed, WebhookDisabled, OrganizationErased)
"""Every kind there is."""


def webhook_disabled(webhook: Webhook) -> WebhookDisabled:
    """The notice that the dispatcher made this webhook what it is: disabled.

    A webhook may be written again as it stood, with another revision and the same ``updated_on``: that is no news.
    """
    moment = webhook.updated_on
    return WebhookDisabled(
        id=f"{webhook.id}-{round(moment.timestamp() * 1000)}-disabled",
        time=moment,
        data=DisabledWebhook(
            organization_id=webhook.organization_id,
            webhook_id=webhook.id,
            name=webhook.name,
            reason=webhook.disabled_reason or "",
        ),
    )
