"""Sample values of the template variables, for previews: one Monday morning at an organization."""

from typing import Any

from dispatcher.events.types import DESCRIPTIONS, EventType
from dispatcher.events.variables import variables_of

_SAMPLES: dict[str, Any] = {
    "timestamp": "2026-11-23T10:15:04.120Z",
    "alert_name": "Low disk space",
    "alert_information": "Less than 5 % of the disk is free",
    "alert_start": "2026-11-23T10:14:58.000Z",
    "alert_element": "C:",
    "workspace_id": "6f1e7d0c-9b52-4c0e-8f43-1f2a6f0f7f11",
    "workspace_name": "LT-0042",
    "workspace_last_user": "CONTOSO\\lucia.fernandez",
    "workspace_reporting_group_id": "b7a3d1f4-52c9-4d1b-9a55-3b6c1e0d9e21",
    "workspace_reporting_group_name": "Headquarters",
    "workspace_operation_result": "Completed",
    "workspace_operation_startdate": "2026-11-23T10:12:31.000Z",
    "workspace_operation_enddate": "2026-11-23T10:13:07.000Z",
    "microservice_id": "0c7be0a2-3f0e-4b0a-8c1d-6a6f6ac0b8d4",
    "microservice_name": "Clean temporary files",
    "operation_id": "d2a9c1de-7e1b-4a55-9d5e-0b3c7f6e1a90",
    "operation_startdate": "2026-11-23T10:12:31.000Z",
    "operation_enddate": "2026-11-23T10:13:07.000Z",
    "operation_result": "Completed",
    "entity_type": "Reporting group",
    "entity_name": "Málaga office",
    "entity_id": "b7a3d1f4-52c9-4d1b-9a55-3b6c1e0d9e21",
    "triggered_by_name": "Grace O'Brien",
    "triggered_by_email": "grace.obrien@contoso.example",
    "triggered_by_id": "4a0d6f7e-1c2b-4e8a-b0f3-9d7c5e2a1b64",
    "operation_type": "Run microservice",
    "description": 'Microservice "Clean temporary files" on 3 devices',
    "status": "Completed with errors",
    "operation_status": "Completed with errors",
    "summary": {"Completed": 2, "Error": 1},
    "started_by": "Grace O'Brien",
    "created_at": "2026-11-23T10:12:28.000Z",
    "started_at": "2026-11-23T10:12:30.000Z",
    "finished_at": "2026-11-23T10:15:02.000Z",
    "total_workspaces": 3,
    "total_warnings": 0,
    "total_errors": 1,
    "flow_id": None,
    "fra_type": None,
    "fra_start": None,
    "fra_end": None,
    "operation_flow_id": None,
    "operation_microservice_id": "0c7be0a2-3f0e-4b0a-8c1d-6a6f6ac0b8d4",
    "operation_fra_type": None,
    "operation_fra_start": None,
    "operation_fra_end": None,
}
_ACTIONS = {
    EventType.OBJECT_CREATED: "Creation",
    EventType.OBJECT_MODIFIED: "Modification",
    EventType.OBJECT_DELETED: "Deletion",
}


def sample_values(event_type: EventType, organization_id: str, organization_name: str) -> dict[str, Any]:
    """A value for each variable of a type, as an event of this organization's may hold it; None: it holds none."""
    values = {
        **_SAMPLES,
        "event_type": DESCRIPTIONS[event_type].display_name,
        "organization_id": organization_id,
        "organization_name": organization_name,
        "action": _ACTIONS.get(event_type),
    }
    return {variable.name: values[variable.name] for variable in variables_of(event_type)}
