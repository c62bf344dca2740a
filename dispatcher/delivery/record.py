"""A record of ``webhooks.deliveries``, ``.bulk``, ``.parked`` and the retry topics: one attempt to make.

The value is the rendered body, untouched from the matcher to the wire. What is known about it travels in the
record's headers, so that nothing on this path parses or writes JSON.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from dispatcher.delivery.memory import attempt_key
from dispatcher.events.types import EventType
from dispatcher.kafka.dead_letters import Record
from dispatcher.observability.trace_context import TRACEPARENT, TraceContext, trace_of_headers

VERSION = b"1"

_DUE = "due"
_LONGEST_TIME = 15

# What ClickHouse's tables can hold: of one message fewer runs are made, but what somebody wrote is still recorded.
_ATTEMPTS = range(1, 256)
_RUNS = range(1, 2**16)
_NUMBERS = range(2**63)

# Far more than an event's identifiers have. The records that follow, with more in them, have to fit into their topics.
_LONGEST_IDENTIFIER = 64 * 1024

_TYPES = {event_type.encode(): event_type for event_type in EventType}

Headers = list[tuple[str, bytes]]


class UnreadableDelivery(ValueError):
    """A record that is not a delivery of a format this version reads."""


class Delivery(NamedTuple):
    """One attempt to make. Times are milliseconds since the Unix epoch.

    ``config_offset`` is the position in ``webhooks.config`` that the matcher had read: a sender waits until it has
    read as far before it looks the webhook up, so that nobody is called with a configuration older than the event.
    """

    webhook_id: str
    organization_id: str
    event_type: EventType
    message_id: str
    run: int
    attempt: int
    message_created_on: int
    config_offset: int
    workspace_id: str
    body: bytes
    trace: TraceContext | None = None

    @property
    def key(self) -> bytes:
        """The record's key: the webhook."""
        return self.webhook_id.encode()

    @property
    def attempt_key(self) -> int:
        """The attempt that it is."""
        return attempt_key(self.message_id, self.run, self.attempt)

    def headers(self) -> Headers:
        """The record's headers."""
        headers = [
            ("v", VERSION),
            ("message", self.message_id.encode()),
            ("run", b"%d" % self.run),
            ("attempt", b"%d" % self.attempt),
            ("event", self.event_type.encode()),
            ("organization", self.organization_id.encode()),
            ("created", b"%d" % self.message_created_on),
            ("config", b"%d" % self.config_offset),
            ("workspace", self.workspace_id.encode()),
        ]
        return self.in_trace(headers)

    def in_trace(self, headers: Headers) -> Headers:
        """The headers of a record about it, with those of its trace if it is in one."""
        return headers if self.trace is None else headers + self.trace.headers()


def due_at(record: Record) -> int:
    """When the attempt of a parked record was due, in milliseconds: before it was stored here, again and again."""
    due = dict(record.headers).get(_DUE) or b""
    return int(due) if due.isdigit() and len(due) <= _LONGEST_TIME else record.timestamp


def parked_headers(headers: Headers, due: int) -> Headers:
    """The headers of a record to be parked, with the time (milliseconds) at which its attempt was ``due``."""
    return headers if any(name == _DUE for name, _ in headers) else [*headers, (_DUE, b"%d" % due)]


def read_delivery(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> Delivery:
    """The delivery in a record.

    Raises:
        UnreadableDelivery: something is missing or of another format.
    """
    if key is None or value is None:
        raise UnreadableDelivery("a delivery has a webhook's id as its key and a body as its value")
    fields: dict[str, Any] = dict(headers)
    if fields.get("v") != VERSION:
        raise UnreadableDelivery(f"deliveries of format {fields.get('v')!r} are not read by this version")
    try:
        delivery = Delivery(
            webhook_id=key.decode(),
            organization_id=fields["organization"].decode(),
            event_type=_TYPES.get(fields["event"]) or EventType(fields["event"].decode()),
            message_id=fields["message"].decode(),
            run=int(fields["run"]),
            attempt=int(fields["attempt"]),
            message_created_on=int(fields["created"]),
            config_offset=int(fields["config"]),
            workspace_id=fields["workspace"].decode(),
            body=value,
            trace=trace_of_headers(fields) if TRACEPARENT in fields else None,
        )
    except KeyError as error:
        raise UnreadableDelivery(f"the header {error} is missing") from None
    except (ValueError, TypeError, AttributeError) as error:  # the latter two of headers without a value
        raise UnreadableDelivery(f"a header cannot be read: {error}") from None
    if not (
        delivery.run in _RUNS
        and delivery.attempt in _ATTEMPTS
        and delivery.message_created_on in _NUMBERS
        and delivery.config_offset in _NUMBERS
    ):
        raise UnreadableDelivery("a header cannot be read: a number is too small or too large")
    if (
        len(delivery.webhook_id) > _LONGEST_IDENTIFIER
        or len(delivery.organization_id) > _LONGEST_IDENTIFIER
        or len(delivery.message_id) > _LONGEST_IDENTIFIER
        or len(delivery.workspace_id) > _LONGEST_IDENTIFIER
    ):
        raise UnreadableDelivery(f"an identifier has more than {_LONGEST_IDENTIFIER} characters")
    return delivery
