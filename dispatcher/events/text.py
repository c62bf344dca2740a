"""The text of a value: what takes a variable's place in a message."""

import json
import re
from dataclasses import dataclass
from typing import Any

import orjson

# Half of a surrogate pair has no place in UTF-8. JSON can only carry it as an escape.
_HALF_OF_A_PAIR = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Number:
    """A number by the text with which an event gave it, where Python's would not keep it: 1.10 is not 1.1."""

    text: str


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
    text = _compact(value)
    return _HALF_OF_A_PAIR.sub(lambda half: f"\\u{ord(half[0]):04x}", text).encode()


def _compact(value: Any) -> str:
    try:
        return _ENCODER.encode(value)
    except _HoldsNumber:
        return _compact_with_numbers(value)


def _compact_with_numbers(value: Any) -> str:
    if isinstance(value, Number):
        return value.text
    if isinstance(value, dict):
        members = value.items()
        return f"{{{','.join(f'{_ENCODER.encode(name)}:{_compact_with_numbers(each)}' for name, each in members)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_compact_with_numbers, value))}]"
    return _ENCODER.encode(value)


class _HoldsNumber(Exception):
    pass


def _no_number(_: Any) -> Any:
    raise _HoldsNumber


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_no_number)
