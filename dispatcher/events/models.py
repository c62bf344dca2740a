"""What Portal publishes, described: one model an event type, with every template variable under its caption.

The models are the source of the JSON Schemas and of the lists of variables. Records are read by ``reading``, by hand,
which asks for no more than these models do.
"""

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from dispatcher.events.event import MAX_IDENTIFIER_CHARACTERS
from dispatcher.events.types import EventType

VARIABLE = "x-template-variable"
"""Marks, in a field's JSON Schema, what templates may refer to; the field's description is the variable's caption."""

_IS_VARIABLE: JsonDict = {VARIABLE: True}


def _variable(caption: str, *examples: Any) -> Any:
    return Field(default=None, description=caption, examples=list(examples) or None, json_schema_extra=_IS_VARIABLE)


def _moment(caption: str) -> Any:
    return Field(default=None, description=caption, json_schema_extra={**_IS_VARIABLE, "format": "date-time"})


Text = str | None
Identifier = Annotated[str, Field(min_length=1, max_length=MAX_IDENTIFIER_CHARACTERS)]
OperationId = Annotated[Identifier, Field(description="Identifies the execution of the operation; unique for each")]
WorkspaceId = Annotated[Identifier, Field(description="Device ID", json_schema_extra=_IS_VARIABLE)]


class Data(BaseModel):
    """What the data of every event have. Members that are not described are ignored."""

    organization_id: Annotated[Identifier, Field(description="Organization Id", json_schema_extra=_IS_VARIABLE)]
    organization_name: Text = _variable("Organization/Tenant name", "Contoso")


class ActiveAlertData(Data):
    """An alert became active."""

    alert_id: Text = Field(default=None, description="Alert ID; webhooks' items are matched on it")
    alert_name: Text = _variable("Alert name", "Low disk space")
    alert_information: Text = _variable("Additional alert information")
    alert_start: Text = _moment("Alert start date and time (ISO 8601)")
    alert_element: Text = _variable("Element that triggered the alert", "C:")
    workspace_id: Text = _variable("Device ID", "ws-1")
    workspace_name: Text = _variable("Device Name", "LT-0042")
    workspace_last_user: Text = _variable("Last user who used the device")
    workspace_reporting_group_id: Text = _variable("Reporting group Id")
    workspace_reporting_group_name: Text = _variable("Name of the reporting group")


class ExecutedMicroserviceData(Data):
    """A microservice was executed on a device."""

    operation_id: Text = _variable("Executed operation Id", "op-81")
    microservice_id: Text = _variable("Microservice ID")
    microservice_name: Text = _variable("Microservice name")
    operation_startdate: Text = _moment("Operation start date and time (ISO 8601)")
    operation_enddate: Text = _moment("Operation end date and time (ISO 8601)")
    operation_result: Text = _variable("Operation result (Completed, Error, Timeout, or Cancelled)", "Completed")
    workspace_id: Text = _variable("Device ID", "ws-1")
    workspace_name: Text = _variable("Device Name", "LT-0042")
    workspace_last_user: Text = _variable("Last user who used the device")
    workspace_reporting_group_id: Text = _variable("Reporting group Id")
    workspace_reporting_group_name: Text = _variable("Name of the reporting group")


class ObjectData(Data):
    """An object was created, modified or deleted by a user."""

    entity_type: Text = _variable("Entity type", "Workspace", "Reporting group")
    entity_name: Text = _variable("Entity name")
    entity_id: Text = _variable("Entity ID")
    action: Text = _variable("Action performed (Creation, Modification, or Deletion)", "Creation")
    triggered_by_name: Text = _variable("Name of the user who triggered the event")
    triggered_by_email: Text = _variable("Email address of the user who triggered the event")
    triggered_by_id: Text = _variable("ID of the user who triggered the event")


class WorkspaceOfOperation(BaseModel):
    """What an operation did on one device."""

    workspace_id: Text = Field(
        default=None,
        min_length=1,
        max_length=MAX_IDENTIFIER_CHARACTERS,
        description="Device ID; without it, the entry is no message and is reported",
    )
    workspace_name: Text = Field(default=None, description="Device Name")
    workspace_last_user: Text = Field(default=None, description="Last user who used the device")
    workspace_reporting_group_id: Text = Field(default=None, description="Reporting group Id")
    workspace_reporting_group_name: Text = Field(default=None, description="Name of the reporting group")
    workspace_operation_result: Text = Field(default=None, description="Operation result on the device")
    workspace_operation_startdate: Text = Field(
        default=None,
        description="Operation start date and time in the workspace (ISO 8601)",
        json_schema_extra={"format": "date-time"},
    )
    workspace_operation_enddate: Text = Field(
        default=None,
        description="Operation end date and time in the workspace (ISO 8601)",
        json_schema_extra={"format": "date-time"},
    )


class OperationExecutedData(Data):
    """An operation was executed on one or more devices."""

    operation_id: Text = Field(
        default=None,
        min_length=1,
        max_length=MAX_IDENTIFIER_CHARACTERS,
        description="Identifies the execution of the operation; unique for each; without it, no workspace is a message",
    )
    operation_type: Text = _variable("Operation Type", "Restart")
    description: Text = _variable("Operation description")
    status: Text = _variable("Current execution status of the operation", "Completed")
    summary: dict[str, Any] | list[Any] | str | None = _variable("Operation summary (JSON)")
    started_by: Text = _variable("User who started the operation")
    created_at: Text = _moment("Date and time of operation creation (ISO 8601)")
    started_at: Text = _moment("Operation start date and time (ISO 8601)")
    finished_at: Text = _moment("Operation end date and time (ISO 8601)")
    total_workspaces: int | None = _variable("Total number of devices processed", 40)
    total_warnings: int | None = _variable("Total number of executions with warnings during the operation", 0)
    total_errors: int | None = _variable("Total number of executions with errors during the operation", 3)
    flow_id: Text = _variable("Associated flow ID")
    microservice_id: Text = _variable("Associated microservice ID")
    fra_type: Text = _variable("Flexxible Remote Assistance (FRA) Type")
    fra_start: Text = _moment("Flexxible Remote Assistance (FRA) start date and time (ISO 8601)")
    fra_end: Text = _moment("Flexxible Remote Assistance (FRA) end date and time (ISO 8601)")
    workspaces: list[WorkspaceOfOperation | None] | None = Field(
        default=None,
        description="One entry a device; each is a message for the webhooks of operations executed in a workspace",
    )


class OperationExecutedInWorkspaceData(Data):
    """An operation was executed on a device."""

    operation_id: OperationId
    operation_type: Text = _variable("Operation Type", "Restart")
    description: Text = _variable("Operation description")
    operation_status: Text = _variable("Operation status", "Completed")
    started_by: Text = _variable("User who started the operation")
    created_at: Text = _moment("Date and time of operation creation (ISO 8601)")
    started_at: Text = _moment("Operation start date and time (ISO 8601)")
    finished_at: Text = _moment("Operation end date and time (ISO 8601)")
    operation_flow_id: Text = _variable("Operation-associated flow ID")
    operation_microservice_id: Text = _variable("Operation-associated microservice ID")
    operation_fra_type: Text = _variable("Flexxible Remote Assistance (FRA) Type")
    operation_fra_start: Text = _moment("Flexxible Remote Assistance (FRA) start date and time (ISO 8601)")
    operation_fra_end: Text = _moment("Flexxible Remote Assistance (FRA) end date and time (ISO 8601)")
    workspace_id: WorkspaceId
    workspace_name: Text = _variable("Device Name", "LT-0042")
    workspace_last_user: Text = _variable("Last user who used the device")
    workspace_reporting_group_id: Text = _variable("Reporting group Id")
    workspace_reporting_group_name: Text = _variable("Name of the reporting group")
    workspace_operation_result: Text = _variable("Operation result on the device", "Completed")
    workspace_operation_startdate: Text = _moment("Operation start date and time in the workspace (ISO 8601)")
    workspace_operation_enddate: Text = _moment("Operation end date and time in the workspace (ISO 8601)")


D = TypeVar("D", bound=Data)


class CloudEvent(BaseModel, Generic[D]):
    """A CloudEvents 1.0 event in structured JSON mode. Members that are not described are ignored."""

    specversion: Literal["1.0"]
    id: Annotated[
        Identifier, Field(description="Unique among the events of its source; the same event again has the same id")
    ]
    source: Annotated[Identifier, Field(description="The part of Portal that publishes the event")]
    time: Text = Field(
        default=None,
        description="Event date and time (ISO 8601), which #timestamp stands for",
        json_schema_extra={"format": "date-time"},
    )
    datacontenttype: Text = Field(default=None, examples=["application/json"])
    traceparent: Text = Field(
        default=None,
        description="Where in a W3C trace the event happened (CloudEvents' extension Distributed Tracing)",
        examples=["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
    )
    tracestate: Text = Field(default=None, description="What tracing systems add to traceparent")
    data: D


class ActiveAlert(CloudEvent[ActiveAlertData]):
    """An alert became active."""

    type: Literal[EventType.ACTIVE_ALERT]


class ExecutedMicroservice(CloudEvent[ExecutedMicroserviceData]):
    """A microservice was executed on a device."""

    type: Literal[EventType.EXECUTED_MICROSERVICE]


class ObjectCreated(CloudEvent[ObjectData]):
    """A user created an object."""

    type: Literal[EventType.OBJECT_CREATED]


class ObjectModified(CloudEvent[ObjectData]):
    """A user modified an object."""

    type: Literal[EventType.OBJECT_MODIFIED]


class ObjectDeleted(CloudEvent[ObjectData]):
    """A user deleted an object."""

    type: Literal[EventType.OBJECT_DELETED]


class OperationExecuted(CloudEvent[OperationExecutedData]):
    """An operation was executed on one or more devices."""

    type: Literal[EventType.OPERATION_EXECUTED]


class OperationExecutedInWorkspace(CloudEvent[OperationExecutedInWorkspaceData]):
    """An operation was executed on a device."""

    type: Literal[EventType.OPERATION_EXECUTED_IN_WORKSPACE]


MODELS: dict[EventType, type[CloudEvent[Any]]] = {
    EventType.ACTIVE_ALERT: ActiveAlert,
    EventType.EXECUTED_MICROSERVICE: ExecutedMicroservice,
    EventType.OBJECT_CREATED: ObjectCreated,
    EventType.OBJECT_MODIFIED: ObjectModified,
    EventType.OBJECT_DELETED: ObjectDeleted,
    EventType.OPERATION_EXECUTED: OperationExecuted,
    EventType.OPERATION_EXECUTED_IN_WORKSPACE: OperationExecutedInWorkspace,
}
