"""A record of ``webhooks.attempts``: what became of one attempt, in the shape that ClickHouse takes as it is."""

from collections.abc import Sequence
from typing import Literal, NotRequired, TypedDict

import orjson

VERSION = b"1"

_OF_THIS_VERSION = ("v", VERSION)

Status = Literal["pending", "in_progress", "successful", "failed"]


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


def unread_format(headers: Sequence[tuple[str, bytes]]) -> str:
    """Why an outcome with these headers cannot be read by this version; empty when it can.

    Those of messages that were too large to be sent had no headers at first.
    """
    if _OF_THIS_VERSION in headers:
        return ""
    version = dict(headers).get("v", VERSION)
    return "" if version == VERSION else f"outcomes of format {version!r} are not read by this version"
