"""Events and webhooks give deliveries: which webhooks want an event, and what each of them is sent."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from dispatcher.delivery.failures import MAX_BODY_BYTES
from dispatcher.delivery.record import Delivery
from dispatcher.events.event import MAX_IDENTIFIER_CHARACTERS, Event
from dispatcher.events.types import EventType
from dispatcher.matching.message_id import message_of_device, message_of_event
from dispatcher.webhooks.webhook import Webhook

_ABOUT_ONE_DEVICE = frozenset({EventType.ACTIVE_ALERT, EventType.EXECUTED_MICROSERVICE})


class Directory(Protocol):
    """What is needed of the webhook directory."""

    @property
    def next_offset(self) -> int:
        """The position in ``webhooks.config`` up to which the directory has read."""

    def wanting(self, organization_id: str, event_type: EventType) -> Sequence[Webhook]:
        """An organization's enabled webhooks for a type of event."""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A message that cannot be sent: the delivery, without its body, and how many bytes that had."""

    delivery: Delivery
    size: int
    target_url: str


def match(event: Event, directory: Directory, published_on_ms: int) -> Iterator[Delivery | TooLarge]:
    """What an event leads to: the first attempt of each message, rendered as it is asked for.

    ``published_on_ms`` is when Kafka took the event, in milliseconds since the Unix epoch. The directory is looked at
    once, at the beginning, so that all that one event leads to follows one state of it.
    """
    organization_id = event.organization_id
    config_offset = directory.next_offset
    wanting = _selecting(event, directory.wanting(organization_id, event.type))
    wanting_devices: list[Webhook] = []
    if event.type is EventType.OPERATION_EXECUTED:
        in_workspace = directory.wanting(organization_id, EventType.OPERATION_EXECUTED_IN_WORKSPACE)
        wanting_devices = _selecting(event, in_workspace)
    for webhook in wanting:
        yield _first_attempt(webhook, event, published_on_ms, config_offset)
    if wanting_devices:
        seen: set[str] = set()
        for device in event.devices():
            if device.workspace_id not in seen:
                seen.add(device.workspace_id)
                for webhook in wanting_devices:
                    yield _first_attempt(webhook, device, published_on_ms, config_offset)


def _selecting(event: Event, webhooks: Sequence[Webhook]) -> list[Webhook]:
    return [webhook for webhook in webhooks if webhook.items.include(event.item)] if webhooks else []


def _first_attempt(webhook: Webhook, event: Event, published_on_ms: int, config_offset: int) -> Delivery | TooLarge:
    body = webhook.template.render(event.variables)
    size = len(body)
    fits = size <= MAX_BODY_BYTES
    delivery = Delivery(
        webhook_id=webhook.id,
        organization_id=event.organization_id,
        event_type=event.type,
        message_id=_message_id(webhook, event),
        run=1,
        attempt=1,
        message_created_on=published_on_ms,
        config_offset=config_offset,
        workspace_id=_workspace_id(event),
        body=body if fits else b"",
        trace=event.trace,
    )
    return delivery if fits else TooLarge(delivery, size, webhook.target_url)


def _message_id(webhook: Webhook, event: Event) -> str:
    if event.type is EventType.OPERATION_EXECUTED_IN_WORKSPACE:
        return message_of_device(webhook.id, event.organization_id, event.operation_id, event.workspace_id)
    return message_of_event(webhook.id, event.source, event.id)


def _workspace_id(event: Event) -> str:
    if event.type is EventType.OPERATION_EXECUTED_IN_WORKSPACE:
        return event.workspace_id
    if event.type in _ABOUT_ONE_DEVICE:
        workspace_id = event.data.get("workspace_id")
        # Nobody has checked this one: half of a surrogate pair has no place in a header, nor have megabytes.
        if isinstance(workspace_id, str) and len(workspace_id) <= MAX_IDENTIFIER_CHARACTERS:
            return workspace_id.encode(errors="replace").decode()
    return ""
