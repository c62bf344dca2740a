"""The text of a value: what takes a variable's place in a message."""

import json
import re
from typing import Any

import orjson

# Half of a surrogate pair has no place in UTF-8. JSON can only carry it as an escape.
_HALF_OF_A_PAIR = re.compile("[\ud800-\udfff]")


def text_of(value: Any) -> str:
    """A value of an event as text: strings as they are, nothing for null, and the compact JSON text of all else."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return _json_as_python_writes_it(value).decode()


def escaped(text: str) -> bytes:
    """Text as it stands between the quotes of a JSON string, in UTF-8."""
    return _json(text)[1:-1]


def _json(value: str) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return _json_as_python_writes_it(value)


def _json_as_python_writes_it(value: Any) -> bytes:
    # The fast writer spells small and large floats in its own way, and knows neither halves of surrogate pairs nor
    # integers of more than 64 bits.
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _HALF_OF_A_PAIR.sub(lambda half: f"\\u{ord(half[0]):04x}", text).encode()
