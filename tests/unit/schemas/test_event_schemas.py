from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dispatcher.events.simulator.portal import Portal
from dispatcher.events.types import EventType
from dispatcher.events.variables import names_of
from dispatcher.schemas.event_schemas import event_schema

VALIDATORS = {event_type: Draft202012Validator(event_schema(event_type)) for event_type in EventType}


def _least(event_type: EventType, **data: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"organization_id": "org-1"}
    if event_type is EventType.OPERATION_EXECUTED_IN_WORKSPACE:
        about |= {"operation_id": "op-1", "workspace_id": "ws-1"}
    return {"specversion": "1.0", "id": "1", "source": "/p", "type": event_type, "data": {**about, **data}}


@pytest.mark.parametrize("event_type", EventType)
def test_schemas_are_schemas(event_type: EventType) -> None:
    Draft202012Validator.check_schema(event_schema(event_type))


def test_the_simulator_s_events_are_valid() -> None:
    portal = Portal(5)
    for _ in range(300):
        event = portal.next_event(datetime(2026, 11, 23, tzinfo=UTC))
        VALIDATORS[event.event_type].validate(event.envelope)


@pytest.mark.parametrize("event_type", EventType)
def test_only_what_is_required_is(event_type: EventType) -> None:
    validator = VALIDATORS[event_type]
    validator.validate(_least(event_type))
    validator.validate(_least(event_type, organization_name=None, unknown={"a": 1}))
    assert not validator.is_valid(_least(event_type, organization_id=""))
    assert not validator.is_valid(_least(event_type) | {"specversion": "0.3"})
    assert not validator.is_valid(_least(event_type) | {"type": "another"})


def test_an_operation_may_lack_its_id_and_those_of_its_devices() -> None:
    operation = EventType.OPERATION_EXECUTED
    validator = VALIDATORS[operation]
    validator.validate(_least(operation, workspaces=[], operation_id=None))
    validator.validate(_least(operation, workspaces=[{"workspace_id": "ws-1"}]))
    validator.validate(_least(operation, workspaces=[{}, None, {"workspace_id": None}], operation_id="op-1"))
    assert not validator.is_valid(_least(operation, workspaces={}))
    assert not validator.is_valid(_least(operation, workspaces=["ws-1"]))
    assert not validator.is_valid(_least(operation, workspaces=[{"workspace_id": ""}]))
    assert not validator.is_valid(_least(operation, operation_id=""))


@pytest.mark.parametrize("event_type", EventType)
def test_every_variable_is_described(event_type: EventType) -> None:
    (data,) = [each for name, each in event_schema(event_type)["$defs"].items() if name.endswith("Data")]
    variables = {name for name, each in data["properties"].items() if each.get("x-template-variable")}
    assert variables | {"event_type", "timestamp"} == names_of(event_type)
