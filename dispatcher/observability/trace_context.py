"""W3C trace context (https://www.w3.org/TR/trace-context/): what joins an event, its messages and every attempt.

It is passed on whether anybody exports spans or not. What is malformed is no context: a trace is never worth a message.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"

_PREVIOUS = "previous-traceparent"

_PARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE = re.compile(r"[a-z0-9][a-z0-9_*/@-]{0,255}=[ -+\--<>-~]{1,256}")
_STATE_MEMBERS = 32
_STATE_CHARACTERS = 512
_SAMPLED = 1


class TraceContext(NamedTuple):
    """Where in which trace something happened.

    ``parent`` is a valid ``traceparent`` of version 00, ``state`` a ``tracestate`` or empty. Of a delivery that is
    tried again ``previous`` is the ``traceparent`` of the attempt before, where that was exported.
    """

    parent: str
    state: str = ""
    previous: str = ""

    @property
    def trace_id(self) -> str:
        """The trace's id, 32 hexadecimal digits."""
        return self.parent[3:35]

    def headers(self) -> list[tuple[str, bytes]]:
        """The headers of a record of Kafka's."""
        headers = ((TRACEPARENT, self.parent), (TRACESTATE, self.state), (_PREVIOUS, self.previous))
        return [(name, value.encode()) for name, value in headers if value]


def trace_context(traceparent: object, tracestate: object = None) -> TraceContext | None:
    """The context that these values tell, None if they tell none. Either may be anything."""
    parent = _parent(traceparent)
    if not parent:
        return None
    return TraceContext(parent, tracestate if isinstance(tracestate, str) and _is_state(tracestate) else "")


def trace_of_headers(headers: Mapping[str, bytes | None]) -> TraceContext | None:
    """The context in a record's headers, as ``trace_context`` has it."""
    parent, state, previous = (_text(headers.get(name)) for name in (TRACEPARENT, TRACESTATE, _PREVIOUS))
    context = trace_context(parent, state)
    return context._replace(previous=_parent(previous)) if context is not None and previous else context


def logged(trace: TraceContext | None) -> dict[str, str]:
    """What a line of the log says of a trace."""
    return {} if trace is None else {"trace_id": trace.trace_id}


def _text(value: bytes | None) -> str:
    return (value or b"").decode("ascii", errors="replace")


def _parent(value: object) -> str:
    match = _PARENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return ""
    version, trace_id, span_id, flags, more = match.groups()
    if version == "00":
        return "" if more else match.string
    # Of a version that is not known yet, this much is certain, and is passed on as the version that is.
    return f"00-{trace_id}-{span_id}-{int(flags, 16) & _SAMPLED:02x}"


def _is_state(value: str) -> bool:
    members = [member.strip(" \t") for member in value.split(",")]
    return (
        len(value) <= _STATE_CHARACTERS
        and len(members) <= _STATE_MEMBERS
        and any(members)
        and all(_STATE.fullmatch(member) for member in members if member)
    )
