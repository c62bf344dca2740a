"""The seven types of events, and what people choose from for each."""

from dataclasses import dataclass
from enum import StrEnum


class EventType(StrEnum):
    """A type of event that Portal publishes; the value is the CloudEvents ``type``."""

    ACTIVE_ALERT = "active_alert"
    EXECUTED_MICROSERVICE = "executed_microservice"
    OBJECT_CREATED = "object_created"
    OBJECT_MODIFIED = "object_modified"
    OBJECT_DELETED = "object_deleted"
    OPERATION_EXECUTED = "operation_executed"
    OPERATION_EXECUTED_IN_WORKSPACE = "operation_executed_in_workspace"


class ResourceKind(StrEnum):
    """What a webhook of some event type is limited to."""

    ALERT = "alert"
    MICROSERVICE = "microservice"
    OBJECT = "object"
    OPERATION = "operation"


@dataclass(frozen=True, slots=True)
class Description:
    """How an event type is shown, and which member of its data a webhook's items are matched on."""

    display_name: str
    topic: str
    resource_kind: ResourceKind
    item_variable: str
    all_items_label: str


DESCRIPTIONS = {
    EventType.ACTIVE_ALERT: Description(
        "Active alert", "portal.active-alert", ResourceKind.ALERT, "alert_id", "Send webhook for all alerts"
    ),
    EventType.EXECUTED_MICROSERVICE: Description(
        "Executed microservice",
        "portal.executed-microservice",
        ResourceKind.MICROSERVICE,
        "microservice_id",
        "Send webhook for all microservices",
    ),
    EventType.OBJECT_CREATED: Description(
        "Object created",
        "portal.object-created",
        ResourceKind.OBJECT,
        "entity_type",
        "Send webhook for all objects",
    ),
    EventType.OBJECT_MODIFIED: Description(
        "Object modified",
        "portal.object-modified",
        ResourceKind.OBJECT,
        "entity_type",
        "Send webhook for all objects",
    ),
    EventType.OBJECT_DELETED: Description(
        "Object deleted",
        "portal.object-deleted",
        ResourceKind.OBJECT,
        "entity_type",
        "Send webhook for all objects",
    ),
    EventType.OPERATION_EXECUTED: Description(
        "Operation executed",
        "portal.operation-executed",
        ResourceKind.OPERATION,
        "operation_type",
        "Send webhook for all operations",
    ),
    EventType.OPERATION_EXECUTED_IN_WORKSPACE: Description(
        "Operation executed in a workspace",
        "portal.operation-executed-in-workspace",
        ResourceKind.OPERATION,
        "operation_type",
        "Send webhooks for all operations executed in each workspace",
    ),
}
