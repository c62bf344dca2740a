"""Pages of lists: how many entries at most, and the cursor with which a list goes on."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated

import orjson
from pydantic import BeforeValidator, Field

from dispatcher.portal.api.problems import BadField, Problem, invalid


def _digits(value: object) -> object:
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise ValueError("write a number in digits, such as 50")
    return value


Limit = Annotated[int, Field(ge=1, le=1_000, description="How many entries at most"), BeforeValidator(_digits)]
DEFAULT_LIMIT = 50

LONGEST_CURSOR = 2_000
Cursor = Annotated[str, Field(max_length=LONGEST_CURSOR, description="The next_cursor of the page before")]


def write_cursor(position: tuple[int, str]) -> str:
    """A position in a list, opaque, safe in a URL."""
    return urlsafe_b64encode(orjson.dumps(position)).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[int, str]:
    """The position.

    Raises:
        Problem: 422, the cursor is not one of ours.
    """
    try:
        number, text = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError):
        raise bad_cursor() from None
    if type(number) is not int or not isinstance(text, str):
        raise bad_cursor()
    return number, text


def bad_cursor() -> Problem:
    """422: the cursor did not come from this list."""
    return invalid([BadField(field="cursor", detail="is not one that this list gave; leave it out to begin again")])
