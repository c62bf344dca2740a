"""The text of a value: what takes a variable's place in a message."""

import json
import re
from typing import Any, Self

import orjson

# Half of a surrogate pair has no place in UTF-8. JSON can only carry it as an escape.
_HALF_OF_A_PAIR = re.compile("[\ud800-\udfff]")


class Number(float):
    """A number with a fraction or an exponent, and the text by which an event gave it: 1.10 is not 1.1."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        """Read the text of a JSON number."""
        number = super().__new__(cls, text)
        number.text = text
        return number


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
    if isinstance(value, Number):
        return value.text
    if isinstance(value, dict):
        return f"{{{','.join(f'{_compact(name)}:{_compact(member)}' for name, member in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_compact, value))}]"
    return json.dumps(value, ensure_ascii=False)
