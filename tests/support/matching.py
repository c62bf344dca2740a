"""What the tests of the matcher share: webhooks without a ``webhooks.config`` to read them from, and events."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from dispatcher.delivery.record import Delivery, read_delivery
from dispatcher.events.types import DESCRIPTIONS, EventType
from dispatcher.kafka.clients import KafkaClients
from dispatcher.webhooks.directory import Directory
from dispatcher.webhooks.webhook import Items, Person, SigningSecret, Webhook

ORGANIZATION = "org-contoso"

_SOMEBODY = Person(id="user-1", name="Somebody")
_THEN = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)


def a_webhook(event_type: EventType, id: str = "wh-1", **members: Any) -> Webhook:
    """An enabled webhook for all items, but for what is given."""
    about: dict[str, Any] = {
        "id": id,
        "organization_id": ORGANIZATION,
        "name": f"Webhook {id}",
        "event_type": event_type,
        "target_url": "https://target.example/hook",
        "items": Items(all=True),
        "payload_template": {"type": "#event_type", "device": "#workspace_id", "of": "#organization_id"},
        "status": "enabled",
        "secrets": (SigningSecret(value="whsec_c2VjcmV0"),),
        "created_on": _THEN,
        "created_by": _SOMEBODY,
        "updated_on": _THEN,
        "updated_by": _SOMEBODY,
        **members,
    }
    return Webhook(**about)


@dataclass(frozen=True)
class Fixed:
    """Stands for the reader of ``webhooks.config``: the webhooks do not change."""

    directory: Directory
    unknown: tuple[str, ...] = ()


def following(*webhooks: Webhook) -> Fixed:
    """A follower that has read these webhooks, at the offsets 0, 1, …."""
    directory = Directory()
    for offset, webhook in enumerate(webhooks):
        directory.apply(offset, webhook.id, webhook, revision=1, base=0)
    return Fixed(directory)


def an_event(event_type: EventType, id: str = "event-1", **data: Any) -> bytes:
    """A record's value: an event about the item ``item-1``, with what is needed of its type, and what is given."""
    members: dict[str, Any] = {
        "organization_id": ORGANIZATION,
        "organization_name": "Contoso",
        DESCRIPTIONS[event_type].item_variable: "item-1",
        **data,
    }
    if event_type in {EventType.OPERATION_EXECUTED, EventType.OPERATION_EXECUTED_IN_WORKSPACE}:
        members.setdefault("operation_id", "op-81")
    if event_type is EventType.OPERATION_EXECUTED_IN_WORKSPACE:
        members.setdefault("workspace_id", "ws-1")
    return json.dumps(
        {
            "specversion": "1.0",
            "id": id,
            "source": f"/portal/{event_type}",
            "type": event_type,
            "time": "2026-11-23T10:15:04.120Z",
            "datacontenttype": "application/json",
            "data": members,
        }
    ).encode()


async def publish(
    clients: KafkaClients, topic: str, values: Iterable[bytes], *, spread: bool = True, linger_ms: int = 2
) -> None:
    """Write records to a topic: over all its partitions, or to one."""
    async with clients.producer(linger_ms=linger_ms) as producer:
        sent = [
            await producer.send(topic, value, key=b"%d" % number if spread else b"one")
            for number, value in enumerate(values)
        ]
        for each in sent:
            await each


class Reader:
    """Reads topics from their beginning, outside any group."""

    def __init__(self, clients: KafkaClients, *topics: str) -> None:
        self._consumer: AIOKafkaConsumer = clients.consumer(*topics)
        self.records: list[ConsumerRecord] = []

    async def __aenter__(self) -> "Reader":
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def take(self, milliseconds: int = 100) -> int:
        """Read what there is; how many records have been read by now."""
        for records in (await self._consumer.getmany(timeout_ms=milliseconds)).values():
            self.records += records
        return len(self.records)

    async def until(self, records: int) -> None:
        """Read until there are at least so many records."""
        while len(self.records) < records:
            await self.take()

    @property
    def deliveries(self) -> list[Delivery]:
        """The records as deliveries."""
        return [read_delivery(record.key, record.value, record.headers) for record in self.records]
