"""Cursors: where the next page of a webhook's attempts goes on, opaque to whoever passes them back."""

import base64
import binascii
from typing import NamedTuple

import orjson


class Position(NamedTuple):
    """The last attempt of a page. What is inserted later is newer and comes before it, so pages do not shift."""

    at: int
    """When it was executed or is due, in milliseconds since the epoch."""
    message_id: str
    run: int
    attempt: int


def write_cursor(position: Position) -> str:
    """The position as text that is safe in a URL."""
    return base64.urlsafe_b64encode(orjson.dumps(list(position))).decode().rstrip("=")


def read_cursor(cursor: str) -> Position:
    """The position in a cursor.

    Raises:
        ValueError: it was not made by ``write_cursor``.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        at, message_id, run, attempt = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error):
        raise ValueError(_NOT_A_CURSOR) from None
    numbers = (at, run, attempt)
    if not isinstance(message_id, str) or not all(type(each) is int and 0 <= each < 2**62 for each in numbers):
        raise ValueError(_NOT_A_CURSOR)
    return Position(at, message_id, run, attempt)


_NOT_A_CURSOR = "the cursor is not one that this list gave out; leave it away to begin again"
