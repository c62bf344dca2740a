"""The variables and example templates, against Portal's documentation."""

import json
import re

import pytest

from dispatcher.events.examples import example_template, example_templates
from dispatcher.events.types import EventType
from dispatcher.events.variables import names_of, variables_of

COMMON = """
#event_type | Event Type
#organization_id | Organization Id
#organization_name | Organization/Tenant name
#timestamp | Event date and time (ISO 8601)
"""

DEVICE = """
#workspace_id | Device ID
#workspace_name | Device Name
#workspace_last_user | Last user who used the device
#workspace_reporting_group_id | Reporting group Id
#workspace_reporting_group_name | Name of the reporting group
"""

ALERT = f"""
#alert_name | Alert name
#alert_information | Additional alert information
#alert_start | Alert start date and time (ISO 8601)
#alert_element | Element that triggered the alert
{DEVICE}
"""

MICROSERVICE = f"""
#operation_id | Executed operation Id
#microservice_id | Microservice ID
#microservice_name | Microservice name
#operation_startdate | Operation start date and time (ISO 8601)
#operation_enddate | Operation end date and time (ISO 8601)
#operation_result | Operation result (Completed, Error, Timeout, or Cancelled)
{DEVICE}
"""

OBJECT = """
#entity_type | Entity type
#entity_name | Entity name
#entity_id | Entity ID
#action | Action performed (Creation, Modification, or Deletion)
#triggered_by_name | Name of the user who triggered the event
#triggered_by_email | Email address of the user who triggered the event
#triggered_by_id | ID of the user who triggered the event
"""

OPERATION = """
#operation_type | Operation Type
#description | Operation description
#status | Current execution status of the operation
#summary | Operation summary (JSON)
#started_by | User who started the operation
#created_at | Date and time of operation creation (ISO 8601)
#started_at | Operation start date and time (ISO 8601)
#finished_at | Operation end date and time (ISO 8601)
#total_workspaces | Total number of devices processed
#total_warnings | Total number of executions with warnings during the operation
#total_errors | Total number of executions with errors during the operation
#flow_id | Associated flow ID
#microservice_id | Associated microservice ID
#fra_type | Flexxible Remote Assistance (FRA) Type
#fra_start | Flexxible Remote Assistance (FRA) start date and time (ISO 8601)
#fra_end | Flexxible Remote Assistance (FRA) end date and time (ISO 8601)
"""

OPERATION_IN_WORKSPACE = f"""
#operation_type | Operation Type
#description | Operation description
#operation_status | Operation status
#started_by | User who started the operation
#created_at | Date and time of operation creation (ISO 8601)
#started_at | Operation start date and time (ISO 8601)
#finished_at | Operation end date and time (ISO 8601)
#operation_flow_id | Operation-associated flow ID
#operation_microservice_id | Operation-associated microservice ID
#operation_fra_type | Flexxible Remote Assistance (FRA) Type
#operation_fra_start | Flexxible Remote Assistance (FRA) start date and time (ISO 8601)
#operation_fra_end | Flexxible Remote Assistance (FRA) end date and time (ISO 8601)
{DEVICE}
#workspace_operation_result | Operation result on the device
#workspace_operation_startdate | Operation start date and time in the workspace (ISO 8601)
#workspace_operation_enddate | Operation end date and time in the workspace (ISO 8601)
"""


def _table(text: str) -> list[tuple[str, str]]:
    rows = [line.split(" | ") for line in (COMMON + text).splitlines() if line]
    return [(name.removeprefix("#"), caption) for name, caption in rows]


DOCUMENTED = {
    EventType.ACTIVE_ALERT: _table(ALERT),
    EventType.EXECUTED_MICROSERVICE: _table(MICROSERVICE),
    EventType.OBJECT_CREATED: _table(OBJECT),
    EventType.OBJECT_MODIFIED: _table(OBJECT),
    EventType.OBJECT_DELETED: _table(OBJECT),
    EventType.OPERATION_EXECUTED: _table(OPERATION),
    EventType.OPERATION_EXECUTED_IN_WORKSPACE: _table(OPERATION_IN_WORKSPACE),
}


@pytest.mark.parametrize("event_type", EventType)
def test_variables_are_those_of_the_documentation(event_type: EventType) -> None:
    assert [(each.name, each.caption) for each in variables_of(event_type)] == DOCUMENTED[event_type]
    assert names_of(event_type) == {name for name, _ in DOCUMENTED[event_type]}


def test_an_operation_s_id_is_a_variable_of_microservices_alone() -> None:
    assert [each for each in EventType if "operation_id" in names_of(each)] == [EventType.EXECUTED_MICROSERVICE]


@pytest.mark.parametrize("event_type", EventType)
def test_the_documented_template_has_every_variable_once(event_type: EventType) -> None:
    used = re.findall(r'"#(\w+)"', json.dumps(example_template(event_type)))
    assert sorted(used) == sorted(names_of(event_type))


@pytest.mark.parametrize("event_type", EventType)
def test_every_example_refers_to_variables_of_its_type(event_type: EventType) -> None:
    examples = example_templates(event_type)
    assert list(examples) == ["Portal", "Slack", "Microsoft Teams"]
    for template in examples.values():
        used = re.findall(r"#([A-Za-z0-9_]+)", "\n".join(_strings(template)))
        assert used
        assert set(used) <= names_of(event_type)


def test_an_example_may_be_changed_by_whoever_asked_for_it() -> None:
    example_template(EventType.ACTIVE_ALERT)["message"].clear()
    assert example_template(EventType.ACTIVE_ALERT)["message"]


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for child in value.values() for text in _strings(child)]
    return [text for child in value for text in _strings(child)] if isinstance(value, list) else []
