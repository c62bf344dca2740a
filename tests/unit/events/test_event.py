import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.events.event import Event, Variables
from dispatcher.events.reading import read_event
from dispatcher.events.text import text_of
from dispatcher.events.types import DESCRIPTIONS, EventType

TIME = "2026-11-23T10:15:04.120Z"

# Any text, halves of surrogate pairs and control characters included.
any_text = st.text(st.characters(exclude_categories=()))
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda children: st.lists(children) | st.dictionaries(any_text, children),
    max_leaves=10,
)


def _variables(**data: Any) -> Variables:
    return Variables(EventType.ACTIVE_ALERT, TIME, data)


def _text(variables: Variables, name: str) -> Any:
    return json.loads(b'"' + variables[name] + b'"')


@given(any_text)
def test_a_string_is_the_same_string_inside_json(value: str) -> None:
    assert _text(_variables(value=value), "value") == value


@given(any_json)
def test_any_value_is_text_inside_json(value: Any) -> None:
    text = _text(_variables(value=value), "value")
    assert text == text_of(value)
    if value is not None and not isinstance(value, str):
        assert json.loads(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("", ""),
        ("#alert_name", "#alert_name"),
        ('a "b"\\c\n', 'a "b"\\c\n'),
        ("\x00\u2028\x7f😀", "\x00\u2028\x7f😀"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-7, "-7"),
        (12.5, "12.5"),
        (10**30, "1" + "0" * 30),
        ([1, "é", None], '[1,"é",null]'),
        ({"errors": 3, "of": {"a": []}}, '{"errors":3,"of":{"a":[]}}'),
        (["\ud800é"], '["\\ud800é"]'),
    ],
)
def test_texts(value: Any, text: str) -> None:
    assert _text(_variables(value=value), "value") == text


def test_missing_is_empty() -> None:
    assert _variables()["alert_name"] == b""


def test_what_is_escaped_has_neither_quotes_nor_line_ends() -> None:
    assert _variables(value='"\n')["value"] == b'\\"\\n'


@pytest.mark.parametrize("event_type", EventType)
def test_event_type_is_the_display_name_and_timestamp_the_time(event_type: EventType) -> None:
    variables = Variables(event_type, TIME, {"event_type": "mine", "timestamp": "mine"})
    assert variables["event_type"].decode() == DESCRIPTIONS[event_type].display_name
    assert variables["timestamp"].decode() == TIME


def test_values_are_made_once() -> None:
    data = {"alert_name": "before"}
    event = Event(EventType.ACTIVE_ALERT, "1", "/p", TIME, "org-1", data)
    assert event.variables["alert_name"] == b"before"
    data["alert_name"] = "after"
    assert event.variables["alert_name"] == b"before"


@pytest.mark.parametrize(("value", "item"), [("alert-1", "alert-1"), (7, "7"), (None, ""), (True, "true")])
def test_items_are_matched_on_text(value: Any, item: str) -> None:
    assert Event(EventType.ACTIVE_ALERT, "1", "/p", TIME, "org-1", {"alert_id": value}).item == item


def _operation(**data: Any) -> Event:
    about = {
        "organization_id": "org-1",
        "organization_name": "One",
        "operation_id": "op-81",
        "operation_type": "Restart",
        "description": 'Restart of "all"',
        "status": "Completed",
        "started_by": "Ada",
        "created_at": "t1",
        "started_at": "t2",
        "finished_at": "t3",
        "flow_id": "flow-1",
        "microservice_id": "ms-1",
        "fra_type": "Attended",
        "fra_start": "t4",
        "fra_end": "t5",
        **data,
    }
    envelope = {"specversion": "1.0", "id": "e-1", "source": "/p", "type": "operation_executed", "time": TIME}
    return read_event(orjson.dumps({**envelope, "data": about}))


def test_a_device_has_its_own_values_and_its_operation_s() -> None:
    workspace = {
        "workspace_id": "ws-1",
        "workspace_name": "LT-0042",
        "workspace_last_user": "CONTOSO\\ada",
        "workspace_reporting_group_id": "rg-1",
        "workspace_reporting_group_name": "Sales",
        "workspace_operation_result": "Error",
        "workspace_operation_startdate": "t6",
        "workspace_operation_enddate": "t7",
    }
    (device,) = _operation(workspaces=[workspace]).devices()
    assert device.type is EventType.OPERATION_EXECUTED_IN_WORKSPACE
    assert (device.operation_id, device.workspace_id) == ("op-81", "ws-1")
    assert (device.organization_id, device.time) == ("org-1", TIME)
    expected = {
        **workspace,
        "event_type": "Operation executed in a workspace",
        "timestamp": TIME,
        "organization_id": "org-1",
        "organization_name": "One",
        "operation_type": "Restart",
        "description": 'Restart of "all"',
        "operation_status": "Completed",
        "operation_flow_id": "flow-1",
        "operation_microservice_id": "ms-1",
        "operation_fra_type": "Attended",
        "operation_fra_start": "t4",
        "operation_fra_end": "t5",
        "started_by": "Ada",
        "created_at": "t1",
        "started_at": "t2",
        "finished_at": "t3",
    }
    assert {name: _text(device.variables, name) for name in expected} == expected


def test_a_device_takes_no_others_than_its_own_values_from_its_entry() -> None:
    workspaces = [{"workspace_id": "ws-1", "operation_type": "Other", "event_type": "x"}]
    (device,) = _operation(workspaces=workspaces, workspace_name="not the device's", operation_status="x").devices()
    assert _text(device.variables, "operation_type") == "Restart"
    assert _text(device.variables, "workspace_name") == ""
    assert _text(device.variables, "operation_status") == "Completed"


def test_devices_share_what_their_operation_says() -> None:
    first, second = _operation(workspaces=[{"workspace_id": "ws-1"}, {"workspace_id": "ws-2"}]).devices()
    assert first.variables["description"] is second.variables["description"]
    assert first.variables["workspace_id"] != second.variables["workspace_id"]


@pytest.mark.parametrize("workspaces", [None, []])
def test_an_operation_without_devices(workspaces: Any) -> None:
    assert list(_operation(workspaces=workspaces).devices()) == []


def test_other_events_have_no_devices() -> None:
    data = {"workspaces": [{"workspace_id": "ws-1"}]}
    assert list(Event(EventType.ACTIVE_ALERT, "1", "/p", TIME, "org-1", data).devices()) == []
