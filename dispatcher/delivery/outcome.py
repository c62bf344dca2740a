"""A record of ``webhooks.attempts``: what became of one attempt, in the shape that ClickHouse takes as it is."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NotRequired, TypedDict, cast

import orjson

from dispatcher.delivery.record import Delivery, Headers

VERSION = b"1"

FINAL, IN_PROGRESS = ("final", b"1"), ("final", b"0")
"""The header that says whether the outcome is the last one of its attempt."""

_NOT_CALLED = ("called", b"0")
_OF_THIS_VERSION = ("v", VERSION)

Status = Literal["pending", "in_progress", "successful", "failed"]

NOT_ENDED: Final[Sequence[Status]] = ("pending", "in_progress")
"""In the order in which they come."""


class Outcome(TypedDict):
    """One JSON object on one line. Times are milliseconds since the Unix epoch.

    ``failed`` with ``next_attempt_at`` has another attempt to come, and stands for that pending attempt too;
    without, the message has failed. The body that was sent is not here: the delivery's record has it.
    """

    organization_id: str
    webhook_id: str
    event_type: str
    message_id: str
    workspace_id: str
    run: int
    attempt: int
    status: Status
    message_created_on: int
    due_at: int
    executed_on: int | None
    duration_ms: int | None
    response_code: int | None
    error: str
    reason: str
    target_host: str
    next_attempt_at: int | None
    request_url: NotRequired[str]
    request_headers: NotRequired[dict[str, str]]
    response_headers: NotRequired[dict[str, str]]
    response_body: NotRequired[str]
    response_truncated: NotRequired[bool]


def encode_outcome(outcome: Outcome) -> bytes:
    """The record's value."""
    return orjson.dumps(outcome)


def without_exchange(outcome: Outcome) -> Outcome:
    """The outcome without what was sent and answered."""
    return cast("Outcome", {name: value for name, value in outcome.items() if name not in Outcome.__optional_keys__})


def outcome_headers(delivery: Delivery, *, final: bool, topic: str, offset: int, called: bool = True) -> Headers:
    """The headers of an outcome's record; ``final`` unless the attempt is still being executed.

    Not ``called``: whatever asks for the attempt again is no repetition of it.
    """
    headers = [
        _OF_THIS_VERSION,
        ("message", delivery.message_id.encode()),
        ("run", b"%d" % delivery.run),
        ("attempt", b"%d" % delivery.attempt),
        FINAL if final else IN_PROGRESS,
        ("topic", topic.encode()),
        ("offset", b"%d" % offset),
    ]
    if not called:
        headers.append(_NOT_CALLED)
    return delivery.in_trace(headers)


def is_final(named: Mapping[str, bytes]) -> bool:
    """Whether the outcome with these headers, by name, is the last one of its attempt."""
    return named.get(FINAL[0]) == FINAL[1]


def was_called(named: Mapping[str, bytes]) -> bool:
    """Whether somebody was called in the attempt of the outcome with these headers, by name, as far as they say."""
    return named.get(_NOT_CALLED[0]) != _NOT_CALLED[1]


def told_of(named: Mapping[str, bytes]) -> tuple[str, int]:
    """The topic and the offset of the record whose attempt the outcome with these headers, by name, tells of.

    The partition is the outcome's own.

    Raises:
        KeyError, ValueError: they do not say it.
    """
    return named["topic"].decode(), int(named["offset"])


def headers_without_call(delivery: Delivery) -> Headers:
    """The headers of the outcome of a message that is not even tried: no sender has to know of it."""
    return delivery.in_trace([_OF_THIS_VERSION])


def unread_format(headers: Sequence[tuple[str, bytes]]) -> str:
    """Why an outcome with these headers cannot be read by this version; empty when it can.

    Those of messages that were too large to be sent had no headers at first.
    """
    if _OF_THIS_VERSION in headers:
        return ""
    version = dict(headers).get("v", VERSION)
    return "" if version == VERSION else f"outcomes of format {version!r} are not read by this version"
