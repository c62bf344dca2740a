"""What the benchmarks publish and configure: one place that knows the shape of an event and of a webhook.

An event carries the time of its publication through its template to the target, so that the receiver knows how long
the way took: ``sent``, microseconds since the epoch.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from dispatcher.delivery.record import Delivery
from dispatcher.events.types import EventType
from dispatcher.webhooks.secrets import new_secret
from dispatcher.webhooks.webhook import Items, Person, SigningSecret, Webhook

ORGANIZATION = "org-bench"

OBJECTS = "portal.object-created"
OPERATIONS = "portal.operation-executed"

TEMPLATE = {"text": "#entity_name was created by #triggered_by_name", "at": "#timestamp", "sent": "#entity_id"}
DEVICE_TEMPLATE = {"text": "#operation_type of #workspace_name", "at": "#timestamp", "sent": "#operation_flow_id"}

_SOMEBODY = Person(id="user-1", name="Ada Lovelace")


def object_created(number: int, run: str, *, entity_type: str = "Workspace", organization: str = ORGANIZATION) -> bytes:
    """An event that gives one message for each webhook of the organization."""
    data = {
        "organization_name": "Benchmark",
        "entity_type": entity_type,
        "entity_name": f"WS-{number:06}",
        "entity_id": _now(),
        "action": "Creation",
        "triggered_by_name": "Ada Lovelace",
        "triggered_by_email": "ada@example.com",
        "triggered_by_id": "user-1",
    }
    return _event(EventType.OBJECT_CREATED, f"{run}-{number}", organization, data)


def operation_executed(number: int, run: str, devices: int) -> bytes:
    """An operation on so many devices: for each of them one message for each webhook of the organization."""
    data = {
        "organization_name": "Benchmark",
        "operation_id": f"op-{run}-{number}",
        "operation_type": "Restart",
        "status": "Executed",
        "flow_id": _now(),
        "workspaces": [
            {
                "workspace_id": f"ws-{device}",
                "workspace_name": f"LT-{device:06}",
                "workspace_last_user": "ada@example.com",
                "workspace_reporting_group_id": "group-7",
                "workspace_reporting_group_name": "Laptops",
                "workspace_operation_result": "Successful",
                "workspace_operation_startdate": "2026-11-23T10:15:04.120Z",
                "workspace_operation_enddate": "2026-11-23T10:15:09.480Z",
            }
            for device in range(devices)
        ],
    }
    return _event(EventType.OPERATION_EXECUTED, f"{run}-{number}", ORGANIZATION, data)


def webhook(
    id: str,
    url: str,
    *,
    event_type: EventType = EventType.OBJECT_CREATED,
    organization: str = ORGANIZATION,
    entity_types: Sequence[str] = (),
) -> Webhook:
    """An enabled webhook for objects of these types, or for everything of its event type."""
    now = datetime.now(UTC)
    devices = event_type is EventType.OPERATION_EXECUTED_IN_WORKSPACE
    return Webhook(
        id=id,
        organization_id=organization,
        name=f"Benchmark {id}",
        event_type=event_type,
        target_url=url,
        items=Items(ids=tuple(entity_types)) if entity_types else Items(all=True),
        payload_template=DEVICE_TEMPLATE if devices else TEMPLATE,
        status="enabled",
        secrets=(SigningSecret(value=new_secret()),),
        created_on=now,
        created_by=_SOMEBODY,
        updated_on=now,
        updated_by=_SOMEBODY,
    )


def delivery(number: int, now: int, body: bytes = b"") -> Delivery:
    """A first attempt of a message of its own, for one of a hundred webhooks. ``now`` in milliseconds."""
    return Delivery(
        webhook_id=f"wh_{number % 100:022}",
        organization_id=ORGANIZATION,
        event_type=EventType.OBJECT_CREATED,
        message_id=f"msg_{number:027}",
        run=1,
        attempt=1,
        message_created_on=now,
        config_offset=0,
        workspace_id="",
        body=body,
    )


def _event(event_type: EventType, id: str, organization: str, data: dict[str, Any]) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": id,
            "source": "/portal/benchmark",
            "type": event_type.value,
            "time": datetime.now(UTC).isoformat(),
            "data": {"organization_id": organization, **data},
        }
    )


def _now() -> str:
    return str(time.time_ns() // 1_000)
