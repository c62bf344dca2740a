"""Example templates: the documentation's, and ones for Slack and Microsoft Teams."""

from copy import deepcopy
from typing import Any

from dispatcher.events.types import DESCRIPTIONS, EventType

Template = dict[str, Any]

_ACTIVE_ALERT: Template = {
    "message": {
        "event_type": "#event_type",
        "organization_id": "#organization_id",
        "organization_name": "#organization_name",
        "workspace_id": "#workspace_id",
        "workspace_name": "#workspace_name",
        "workspace_last_user": "#workspace_last_user",
        "reporting_group_id": "#workspace_reporting_group_id",
        "reporting_group_name": "#workspace_reporting_group_name",
        "alert_name": "#alert_name",
        "alert_information": "#alert_information",
        "alert_start": "#alert_start",
        "alert_element": "#alert_element",
        "timestamp": "#timestamp",
    }
}

_EXECUTED_MICROSERVICE: Template = {
    "message": {
        "event_type": "#event_type",
        "organization_id": "#organization_id",
        "organization_name": "#organization_name",
        "timestamp": "#timestamp",
        "workspace_id": "#workspace_id",
        "workspace_name": "#workspace_name",
        "workspace_last_user": "#workspace_last_user",
        "reporting_group_id": "#workspace_reporting_group_id",
        "reporting_group_name": "#workspace_reporting_group_name",
        "operation_id": "#operation_id",
        "microservice_id": "#microservice_id",
        "microservice_name": "#microservice_name",
        "operation_startdate": "#operation_startdate",
        "operation_enddate": "#operation_enddate",
        "operation_result": "#operation_result",
    }
}

_OBJECT: Template = {
    "message": {
        "event-type": "#event_type",
        "organization": {"id": "#organization_id", "name": "#organization_name"},
        "entity": {"entity-type": "#entity_type", "object-name": "#entity_name", "object-id": "#entity_id"},
        "metadata": {
            "action": "#action",
            "timestamp": "#timestamp",
            "user-name": "#triggered_by_name",
            "useremail": "#triggered_by_email",
            "user-id": "#triggered_by_id",
        },
    }
}

_OPERATION_EXECUTED: Template = {
    "message": {
        "event_type": "#event_type",
        "timestamp": "#timestamp",
        "organization": {"id": "#organization_id", "name": "#organization_name"},
        "operation": {
            "type": "#operation_type",
            "description": "#description",
            "status": "#status",
            "summary": "#summary",
            "started_by": "#started_by",
            "created_at": "#created_at",
            "started_at": "#started_at",
            "finished_at": "#finished_at",
        },
        "results": {
            "total_workspaces": "#total_workspaces",
            "total_warnings": "#total_warnings",
            "total_errors": "#total_errors",
        },
        "context": {
            "flow_id": "#flow_id",
            "microservice_id": "#microservice_id",
            "fra_type": "#fra_type",
            "fra_start": "#fra_start",
            "fra_end": "#fra_end",
        },
    }
}

_OPERATION_EXECUTED_IN_WORKSPACE: Template = {
    "message": {
        "event_type": "#event_type",
        "timestamp": "#timestamp",
        "organization": {"id": "#organization_id", "name": "#organization_name"},
        "operation": {
            "type": "#operation_type",
            "description": "#description",
            "status": "#operation_status",
            "started_by": "#started_by",
            "created_at": "#created_at",
            "started_at": "#started_at",
            "finished_at": "#finished_at",
        },
        "context": {
            "flow_id": "#operation_flow_id",
            "microservice_id": "#operation_microservice_id",
            "fra_type": "#operation_fra_type",
            "fra_start": "#operation_fra_start",
            "fra_end": "#operation_fra_end",
        },
        "workspace": {
            "id": "#workspace_id",
            "name": "#workspace_name",
            "last_user": "#workspace_last_user",
            "reporting_group": {
                "id": "#workspace_reporting_group_id",
                "name": "#workspace_reporting_group_name",
            },
        },
        "execution": {
            "result": "#workspace_operation_result",
            "start_date": "#workspace_operation_startdate",
            "end_date": "#workspace_operation_enddate",
        },
    }
}

_DOCUMENTED = {
    EventType.ACTIVE_ALERT: _ACTIVE_ALERT,
    EventType.EXECUTED_MICROSERVICE: _EXECUTED_MICROSERVICE,
    EventType.OBJECT_CREATED: _OBJECT,
    EventType.OBJECT_MODIFIED: _OBJECT,
    EventType.OBJECT_DELETED: _OBJECT,
    EventType.OPERATION_EXECUTED: _OPERATION_EXECUTED,
    EventType.OPERATION_EXECUTED_IN_WORKSPACE: _OPERATION_EXECUTED_IN_WORKSPACE,
}


def _rows_of_slack(*rows: tuple[str, str, str, str]) -> list[Template]:
    return [
        {
            "type": "section",
            "fields": [
                {"type": "mrkdwn", "text": f"*{left}:*\n#{left_variable}"},
                {"type": "mrkdwn", "text": f"*{right}:*\n#{right_variable}"},
            ],
        }
        for left, left_variable, right, right_variable in rows
    ]


_SLACK_OF_MICROSERVICES: Template = {
    "text": "*Flexxible microservice was executed*",
    "blocks": _rows_of_slack(
        ("Microservicio", "microservice_name", "Resultado", "operation_result"),
        ("Organización", "organization_name", "Workspace", "workspace_name"),
        ("Inicio", "operation_startdate", "Fin", "operation_enddate"),
    ),
}

_OBJECT_FACTS = (
    ("Organization", "organization_name", "Action", "action"),
    ("Type", "entity_type", "Name", "entity_name"),
    ("By", "triggered_by_name", "On", "timestamp"),
)

# What a message in a chat says: pairs of facts, each a label and a variable.
_FACTS = {
    EventType.ACTIVE_ALERT: (
        ("Alert", "alert_name", "Element", "alert_element"),
        ("Organization", "organization_name", "Device", "workspace_name"),
        ("Information", "alert_information", "Since", "alert_start"),
    ),
    EventType.EXECUTED_MICROSERVICE: (
        ("Microservice", "microservice_name", "Result", "operation_result"),
        ("Organization", "organization_name", "Device", "workspace_name"),
        ("Start", "operation_startdate", "End", "operation_enddate"),
    ),
    EventType.OBJECT_CREATED: _OBJECT_FACTS,
    EventType.OBJECT_MODIFIED: _OBJECT_FACTS,
    EventType.OBJECT_DELETED: _OBJECT_FACTS,
    EventType.OPERATION_EXECUTED: (
        ("Operation", "operation_type", "Status", "status"),
        ("Organization", "organization_name", "Started by", "started_by"),
        ("Devices", "total_workspaces", "Errors", "total_errors"),
        ("Start", "started_at", "End", "finished_at"),
    ),
    EventType.OPERATION_EXECUTED_IN_WORKSPACE: (
        ("Operation", "operation_type", "Result", "workspace_operation_result"),
        ("Organization", "organization_name", "Device", "workspace_name"),
        ("Start", "workspace_operation_startdate", "End", "workspace_operation_enddate"),
    ),
}


def _slack(event_type: EventType) -> Template:
    if event_type is EventType.EXECUTED_MICROSERVICE:
        return _SLACK_OF_MICROSERVICES
    return {"text": f"*{DESCRIPTIONS[event_type].display_name}*", "blocks": _rows_of_slack(*_FACTS[event_type])}


def _teams(event_type: EventType) -> Template:
    facts = [
        {"title": label, "value": f"#{variable}"}
        for left, left_variable, right, right_variable in _FACTS[event_type]
        for label, variable in ((left, left_variable), (right, right_variable))
    ]
    title = {"type": "TextBlock", "size": "Medium", "weight": "Bolder", "wrap": True, "text": "#event_type"}
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [title, {"type": "FactSet", "facts": facts}],
    }
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    }


def example_template(event_type: EventType) -> Template:
    """The documentation's example for a type."""
    return deepcopy(_DOCUMENTED[event_type])


def example_templates(event_type: EventType) -> dict[str, Template]:
    """Every example for a type, by the name that the pages show: the documentation's first, then for chats."""
    return {
        "Portal": example_template(event_type),
        "Slack": deepcopy(_slack(event_type)),
        "Microsoft Teams": _teams(event_type),
    }
