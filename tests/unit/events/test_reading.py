import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from dispatcher.events.models import MODELS
from dispatcher.events.reading import MAX_NESTING, UnreadableEvent, read_event
from dispatcher.events.types import EventType
from dispatcher.kafka.dead_letters import MAX_REASON_CHARACTERS

ABSENT = object()
LONGEST = "é" * 1024
TOO_LONG = LONGEST + "x"


def _record(event_type: str = "active_alert", *, data: Any = ABSENT, **envelope: Any) -> bytes:
    about = {"organization_id": "org-1"} if data is ABSENT else data
    members = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/portal/x",
        "type": event_type,
        "time": "2026-11-23T10:15:04.120Z",
        "data": about,
        **envelope,
    }
    return json.dumps({name: value for name, value in members.items() if value is not ABSENT}).encode()


def _device(**data: Any) -> bytes:
    about = {"organization_id": "org-1", "operation_id": "op-1", "workspace_id": "ws-1", **data}
    return _record("operation_executed_in_workspace", data={k: v for k, v in about.items() if v is not ABSENT})


def _operation(**data: Any) -> bytes:
    return _record("operation_executed", data={"organization_id": "org-1", **data})


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b'"\\ud800', "not JSON"),
        (b'{"n": NaN, "t": "\\u0041"}', "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"[" * 100_000, "deep"),
        (b'{"data": "\\u0041", "a":' + b"[" * 100_000, "deep"),
        (_record(data={"organization_id": "org-1", "x": json.loads("[" * 300 + "]" * 300)}), "deep"),
        (_record(specversion=ABSENT), "specversion is missing"),
        (_record(specversion="0.3"), 'specversion is "0.3"'),
        (_record(specversion=1.0), "specversion is 1.0"),
        (_record("something_else"), 'type is "something_else"'),
        (_record(type=ABSENT), "type is missing"),
        (_record(type=["active_alert"]), "type is a list"),
        (_record(id=ABSENT), "id is missing"),
        (_record(id=""), 'id is ""'),
        (_record(id=81), "id is 81"),
        (_record(source=None), "source is null"),
        (_record(time=1), "time is 1"),
        (_record(data=None), "data is null"),
        (_record(data=[]), "data is a list"),
        (_record(data={}), "data.organization_id is missing"),
        (_record(data={"organization_id": {}}), "data.organization_id is an object"),
        (_record(data={"organization_id": "\ud800"}), "data.organization_id holds half of a surrogate pair"),
        (_device(operation_id=ABSENT), "data.operation_id is missing"),
        (_device(workspace_id=ABSENT), "data.workspace_id is missing"),
        (_device(workspace_id=5), "data.workspace_id is 5"),
        *(
            (record, f"{name} has 1025 characters; it has to be a valid string of 1 to 1024 characters")
            for record, name in (
                (_record(id=TOO_LONG), "id"),
                (_record(source=TOO_LONG), "source"),
                (_record(data={"organization_id": TOO_LONG}), "data.organization_id"),
                (_device(operation_id=TOO_LONG), "data.operation_id"),
                (_device(workspace_id=TOO_LONG), "data.workspace_id"),
            )
        ),
        (b"1" * 5000, "not a JSON object"),
        (b'{"specversion": %s}' % (b"1" * 5000), "specversion is 1{60}…; it has to be"),
    ],
)
def test_unreadable(record: bytes, problem: str) -> None:
    with pytest.raises(UnreadableEvent, match=problem):
        read_event(record)


def test_the_longest_identifiers() -> None:
    data = {"organization_id": LONGEST, "operation_id": LONGEST, "workspace_id": LONGEST}
    record = _record("operation_executed_in_workspace", id=LONGEST, source=LONGEST, data=data)
    event = read_event(record)
    assert {event.id, event.source, event.organization_id, event.operation_id, event.workspace_id} == {LONGEST}
    MODELS[event.type].model_validate_json(record)


def test_an_event_of_another_topic() -> None:
    with pytest.raises(UnreadableEvent, match="type is active_alert, but this topic is for object_created"):
        read_event(_record(), EventType.OBJECT_CREATED)


@pytest.mark.parametrize("event_type", EventType)
def test_the_topic_s_own_type(event_type: EventType) -> None:
    data = {"organization_id": "org-1", "operation_id": "op-1", "workspace_id": "ws-1"}
    assert read_event(_record(event_type, data=data), event_type).type is event_type


def test_what_an_event_says() -> None:
    event = read_event(_record(data={"organization_id": "org-é", "alert_id": "a-1", "unknown": 1}, other=1))
    assert (event.id, event.source, event.time) == ("e-1", "/portal/x", "2026-11-23T10:15:04.120Z")
    assert (event.organization_id, event.item) == ("org-é", "a-1")
    assert (event.operation_id, event.workspace_id) == ("", "")


@pytest.mark.parametrize("time", [ABSENT, None])
def test_an_event_without_a_time_has_an_empty_timestamp(time: Any) -> None:
    assert read_event(_record(time=time)).variables["timestamp"] == b""


def test_an_operation_without_devices_needs_no_id() -> None:
    assert read_event(_operation(workspaces=[])).operation_id == ""


def test_halves_of_surrogate_pairs_are_values_as_any_other() -> None:
    event = read_event(_record(data={"organization_id": "org-1", "alert_name": "\ud800é"}))
    assert json.loads(b'"' + event.variables["alert_name"] + b'"') == "\ud800é"


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 5_000, f"-{'9' * 5_000}", "-0", "-0.0", "1" * 41])
def test_every_number_of_json_is_a_value_as_it_stands(number: str) -> None:
    data = f'{{"organization_id": "org-1", "total_errors": {number}, "summary": [{number}], "unknown": {number}}}'
    event = read_event(
        _record(other="N").replace(b'"N"', number.encode()).replace(b'{"organization_id": "org-1"}', data.encode())
    )
    assert event.variables["total_errors"].decode() == number
    assert event.variables["summary"].decode() == f"[{number}]"


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 1, 10**40 + 1])
def test_large_integers_stay_exact(number: int) -> None:
    event = read_event(_record(data={"organization_id": "org-1", "total": [number]}))
    assert event.variables["total"].decode() == f"[{number}]"


def test_nesting_up_to_the_limit() -> None:
    depth = MAX_NESTING - 2
    event = read_event(_record(data={"organization_id": "org-1", "summary": json.loads("[" * depth + "]" * depth)}))
    assert event.variables["summary"].decode() == "[" * depth + "]" * depth


identifiers = st.one_of(st.just("org-1"), st.just(""), st.none(), st.integers(), st.text(), st.lists(st.text()))
optional = st.none() | st.text()
workspaces = st.one_of(
    st.none(),
    st.just({}),
    st.lists(st.one_of(st.none(), st.text(), st.fixed_dictionaries({}, optional={"workspace_id": identifiers}))),
)


operations = st.fixed_dictionaries({}, optional={"operation_id": identifiers, "workspaces": workspaces})


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    data = st.fixed_dictionaries(
        {},
        optional={
            "organization_id": identifiers,
            "operation_id": identifiers,
            "workspace_id": identifiers,
            "organization_name": optional,
            "workspaces": workspaces,
            "unknown": st.integers(0, 9),
        },
    )
    whole = st.fixed_dictionaries(
        {
            "specversion": st.sampled_from(["1.0", "1.0", "1.0", "0.3", 1]),
            "type": st.sampled_from([*EventType, "another"]).map(str),
            "data": st.one_of(data, data, data, st.none(), st.just([])),
        },
        optional={"id": identifiers, "source": identifiers, "time": optional | st.integers()},
    )
    return {"id": "e-1", "source": "/p", **draw(whole)}


@given(records())
def test_whatever_the_models_accept_is_read(record: dict[str, Any]) -> None:
    model = MODELS.get(record["type"])
    try:
        described = model is not None and bool(model.model_validate(record))
    except ValidationError:
        described = False
    if described:
        assert read_event(json.dumps(record).encode()).type == record["type"]


@given(records())
def test_what_is_read_has_what_the_models_require(record: dict[str, Any]) -> None:
    try:
        event = read_event(json.dumps(record).encode())
    except UnreadableEvent:
        return
    # Whatever is not required may be of any type: only then may the model be the stricter one.
    required = {
        "organization_id": record["data"]["organization_id"],
        "operation_id": event.operation_id or None,
        "workspace_id": event.workspace_id or None,
        "workspaces": [{"workspace_id": device.workspace_id} for device in event.devices()],
    }
    MODELS[event.type].model_validate({**record, "data": {k: v for k, v in required.items() if v is not None}})


@given(operations)
def test_the_devices_of_an_operation_are_the_entries_that_the_models_accept(data: dict[str, Any]) -> None:
    model = MODELS[EventType.OPERATION_EXECUTED]
    event = read_event(_operation(**data))

    def accepted(**members: Any) -> bool:
        try:
            model.model_validate_json(_operation(**members))
        except ValidationError:
            return False
        return True

    present = data.get("workspaces")
    entries = present if isinstance(present, list) else []
    complete = [
        entry
        for entry in entries
        if isinstance(entry, dict) and entry.get("workspace_id") is not None and accepted(workspaces=[entry])
    ]
    identified = data.get("operation_id") is not None and accepted(operation_id=data["operation_id"])
    assert [device.data for device in event.devices()] == (complete if identified else [])
    nothing_lost = present is None or present == [] or (identified and complete == present)
    assert (event.incomplete == "") == nothing_lost


@pytest.mark.parametrize(
    ("record", "devices", "problem"),
    [
        (
            _operation(workspaces={}),
            [],
            "data.workspaces is an object, not a list; the operation was sent, its devices were not",
        ),
        (
            _operation(workspaces="x", operation_id="op-1"),
            [],
            'data.workspaces is "x", not a list; the operation was sent, its devices were not',
        ),
        (
            _operation(workspaces=[{"workspace_id": "ws-1"}]),
            [],
            "data.operation_id is missing; the operation was sent, its devices were not",
        ),
        (
            _operation(workspaces=[{"workspace_id": "\ud800"}, {"workspace_id": "ws-1"}], operation_id="op-1"),
            ["ws-1"],
            (
                "data.workspaces[0].workspace_id holds half of a surrogate pair; "
                "the operation and its other devices were sent"
            ),
        ),
        (
            _operation(
                workspaces=["ws-0", None, {"workspace_id": "ws-1"}, {}, {"workspace_id": 5}], operation_id="op-1"
            ),
            ["ws-1"],
            (
                "data.workspaces[0] is not an object, data.workspaces[1] is not an object, "
                "data.workspaces[3].workspace_id is missing, data.workspaces[4].workspace_id is 5; "
                "the operation and its other devices were sent"
            ),
        ),
        (
            _operation(workspaces=[{"workspace_id": TOO_LONG}, {"workspace_id": LONGEST}], operation_id="op-1"),
            [LONGEST],
            "data.workspaces[0].workspace_id has 1025 characters; the operation and its other devices were sent",
        ),
        (
            _operation(workspaces=[{"workspace_id": "ws-1"}], operation_id=TOO_LONG),
            [],
            "data.operation_id has 1025 characters; the operation was sent, its devices were not",
        ),
        (_operation(workspaces=[]), [], ""),
        (_operation(workspaces=None), [], ""),
    ],
)
def test_an_operation_is_read_whatever_its_devices_lack(record: bytes, devices: list[str], problem: str) -> None:
    event = read_event(record, EventType.OPERATION_EXECUTED)
    assert [device.workspace_id for device in event.devices()] == devices
    assert event.incomplete == problem


def test_of_many_incomplete_devices_the_first_are_named() -> None:
    event = read_event(_operation(workspaces=[{}] * 10_000, operation_id="op-1"))
    assert "data.workspaces[9].workspace_id is missing, and 9990 more; the operation" in event.incomplete
    assert len(event.incomplete) < MAX_REASON_CHARACTERS


@given(st.binary(max_size=20) | st.text('[]{},:"\\\ufeffaé01.-ntru \n', max_size=20).map(str.encode))
@example(b"\xef\xbb\xbf{}")
@example(b'{"a": 1, "a": 2}')
@example(b'{"a": "\\ud800"}')
@example(b'{"a": "\xff"}')
@example(b"{} {}")
def test_what_is_no_json_is_told_as_json_itself_tells_it(value: bytes) -> None:
    try:
        json.loads(value.decode())
    except ValueError as error:
        told = f"not JSON: {error}"
    else:
        told = "not a CloudEvents 1.0 event"
    with pytest.raises(UnreadableEvent, match=re.escape(told)):
        read_event(value)
