"""Reading what Portal publishes: one CloudEvents 1.0 event in structured JSON mode a record.

``models`` describes the events; this module checks by hand what has to be there, because every event passes here.
"""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from dispatcher.events.event import MAX_IDENTIFIER_CHARACTERS, Event
from dispatcher.events.text import Number
from dispatcher.events.types import EventType
from dispatcher.observability.trace_context import TRACEPARENT, TRACESTATE, trace_context

MAX_NESTING = 200
"""Objects and lists inside each other; no event of Portal's has ten."""

_ENTRIES_SHOWN = 10
_SHOWN_CHARACTERS = 60
_INTEGER_CHARACTERS = 40

_WITHOUT_DEVICES = "the operation was sent, its devices were not"
_WITHOUT_THESE = "the operation and its other devices were sent"

_TYPES = {event_type.value: event_type for event_type in EventType}


class UnreadableEvent(ValueError):
    """A record that is not one of Portal's events; the message says what is wrong with it."""


def read_event(value: bytes, expected: EventType | None = None) -> Event:
    """The event in a record's value.

    ``expected`` is the type that the record's topic is for; None accepts every type.

    Raises:
        UnreadableEvent: something is missing or cannot be understood; the message names it.
    """
    envelope = _object(value)
    if envelope.get("specversion") != "1.0":
        raise UnreadableEvent(
            f'not a CloudEvents 1.0 event: specversion is {_shown(envelope, "specversion")}; it has to be "1.0"'
        )
    event_type = _type_of(envelope, expected)
    id, source = _identifier(envelope, "id"), _identifier(envelope, "source")
    time = envelope.get("time")
    if time is not None and not isinstance(time, str):
        raise UnreadableEvent(f"time is {_shown(envelope, 'time')}; it has to be a string")
    data = envelope.get("data")
    if not isinstance(data, dict):
        raise UnreadableEvent(f"data is {_shown(envelope, 'data')}; it has to be an object")
    organization_id = _identifier(data, "organization_id", "data.")
    operation_id = workspace_id = incomplete = ""
    if event_type is EventType.OPERATION_EXECUTED_IN_WORKSPACE:
        operation_id = _identifier(data, "operation_id", "data.")
        workspace_id = _identifier(data, "workspace_id", "data.")
    elif event_type is EventType.OPERATION_EXECUTED and data.get("workspaces") not in (None, []):
        operation_id, workspaces, incomplete = _devices(data)
        if incomplete:
            data = {**data, "workspaces": workspaces}
    # CloudEvents' extension Distributed Tracing.
    traceparent = envelope.get(TRACEPARENT)
    trace = None if traceparent is None else trace_context(traceparent, envelope.get(TRACESTATE))
    return Event(
        event_type, id, source, time or "", organization_id, data, operation_id, workspace_id, incomplete, trace
    )


def _object(value: bytes) -> dict[str, Any]:
    content = _parse(value)
    if not isinstance(content, dict):
        raise UnreadableEvent("not a CloudEvents 1.0 event: the record is not a JSON object")
    if value.count(b"{") + value.count(b"[") > MAX_NESTING and _nested_deeper(content, MAX_NESTING):
        _too_deep()
    return content


def _parse(value: bytes) -> Any:
    # Faster parsers keep neither the text of a number with a fraction nor integers of more than 64 bits, and refuse
    # halves of surrogate pairs, which JSON may hold as escapes.
    try:
        text = value.decode()
        if text.startswith(_BYTE_ORDER_MARK):
            raise json.JSONDecodeError("Unexpected UTF-8 BOM (decode using utf-8-sig)", text, 0)
        return _DECODER.decode(text)
    except RecursionError:
        _too_deep()
    except ValueError as error:
        raise UnreadableEvent(f"not JSON: {error}") from None


def _integer(digits: str) -> int | Number:
    # Python's has no sign at zero, and refuses thousands of digits.
    return int(digits) if len(digits) <= _INTEGER_CHARACTERS and digits != "-0" else Number(digits)


def _not_a_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


# json.loads makes one anew for each text, and says itself what a byte order mark is.
_DECODER = json.JSONDecoder(parse_float=Number, parse_int=_integer, parse_constant=_not_a_number)
_BYTE_ORDER_MARK = "\ufeff"


def _too_deep() -> NoReturn:
    raise UnreadableEvent(f"objects and lists inside each other, more than {MAX_NESTING} deep")


def _nested_deeper(content: dict[str, Any] | list[Any], levels: int) -> bool:
    level = [content]
    for _ in range(levels):
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _type_of(envelope: Mapping[str, Any], expected: EventType | None) -> EventType:
    name = envelope.get("type")
    event_type = _TYPES.get(name) if isinstance(name, str) else None
    if event_type is None:
        raise UnreadableEvent(f"type is {_shown(envelope, 'type')}; it has to be one of {', '.join(_TYPES)}")
    if expected is not None and event_type is not expected:
        raise UnreadableEvent(f"type is {event_type}, but this topic is for {expected}")
    return event_type


def _identifier(members: Mapping[str, Any], name: str, where: str = "") -> str:
    if problem := _unusable(members, name):
        raise UnreadableEvent(
            f"{where}{name} {problem}; it has to be a valid string of 1 to {MAX_IDENTIFIER_CHARACTERS} characters"
        )
    value: str = members[name]
    return value


def _unusable(members: Mapping[str, Any], name: str) -> str:
    """What keeps a member from identifying anything; empty when nothing does."""
    value = members.get(name)
    if not isinstance(value, str) or not value:
        return f"is {_shown(members, name)}"
    if len(value) > MAX_IDENTIFIER_CHARACTERS:
        return f"has {len(value)} characters"
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return "holds half of a surrogate pair"
    return ""


def _devices(data: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]], str]:
    """An operation's id, those of its devices that have one, and why others have to be left out."""
    workspaces = data["workspaces"]
    if not isinstance(workspaces, list):
        return "", [], f"data.workspaces is {_shown(data, 'workspaces')}, not a list; {_WITHOUT_DEVICES}"
    if problem := _unusable(data, "operation_id"):
        return "", [], f"data.operation_id {problem}; {_WITHOUT_DEVICES}"
    usable: list[dict[str, Any]] = []
    problems: list[str] = []
    for index, workspace in enumerate(workspaces):
        if not isinstance(workspace, dict):
            problems.append(f"data.workspaces[{index}] is not an object")
        elif problem := _unusable(workspace, "workspace_id"):
            problems.append(f"data.workspaces[{index}].workspace_id {problem}")
        else:
            usable.append(workspace)
    return data["operation_id"], usable, f"{_few(problems)}; {_WITHOUT_THESE}" if problems else ""


def _few(problems: list[str]) -> str:
    more = len(problems) - _ENTRIES_SHOWN
    return ", ".join(problems[:_ENTRIES_SHOWN]) + (f", and {more} more" if more > 0 else "")


def _shown(members: Mapping[str, Any], name: str) -> str:
    """A member's value as an error message shows it."""
    if name not in members:
        return "missing"
    value = members[name]
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = value.text if isinstance(value, Number) else json.dumps(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
