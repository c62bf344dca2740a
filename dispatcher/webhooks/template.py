"""Payload templates: a JSON object whose ``#word`` variables give way to an event's values."""

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

MAX_DEPTH = 100
"""How deep a template may nest: parsers in common use give up soon after."""

MAX_TEMPLATE_BYTES = 1024 * 1024
"""The largest template, written compactly: as much as the API takes. What is rendered has a bound of its own."""

_WORD = re.compile(r"#([A-Za-z0-9_]+)")


class Template:
    """A template compiled for one event type's variables.

    A ``#`` and the letters, digits and underscores after it stand in JSON text exactly as they stand in the string,
    and a ``#`` stands nowhere but in strings. So the template is written as JSON once, and that text is cut at its
    variables; rendering joins the pieces with the values, which nobody looks into again.
    """

    __slots__ = ("_pieces", "_variables", "verbatim")

    def __init__(self, template: dict[str, Any], variables: Collection[str]) -> None:
        text = _compact(template)
        self.verbatim = _utf8(text)
        """The template with nothing replaced."""
        pieces: list[bytes] = []
        found: list[tuple[int, str]] = []
        start = 0
        for match in _WORD.finditer(text):
            if match[1] in variables:
                pieces += (_utf8(text[start : match.start()]), b"")
                found.append((len(pieces) - 1, match[1]))
                start = match.end()
        pieces.append(_utf8(text[start:]))
        self._pieces = pieces
        self._variables = tuple(found)

    def render(self, values: Mapping[str, bytes]) -> bytes:
        """The JSON to send: compact, in UTF-8.

        ``values[name]`` is the value's text as it stands in a JSON string, escaped, without the quotes.
        """
        pieces = self._pieces.copy()
        for position, name in self._variables:
            pieces[position] = values[name]
        return b"".join(pieces)


def check_template(template: dict[str, Any]) -> dict[str, Any]:
    """A template that can be kept and sent, as it came.

    Raises:
        ValueError: it nests too deep, is too large, or holds a number that JSON has no way to write.
    """
    for depth, value in _walk(template):
        if depth > MAX_DEPTH:
            raise ValueError(f"the template nests deeper than {MAX_DEPTH} levels; make it flatter")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("the template holds a number that is too large or not a number; write it as a string")
    if len(_utf8(_compact(template))) > MAX_TEMPLATE_BYTES:
        raise ValueError(f"the template is larger than {MAX_TEMPLATE_BYTES // 1024**2} MiB; make it shorter")
    return template


def _compact(template: dict[str, Any]) -> str:
    return json.dumps(template, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _utf8(text: str) -> bytes:
    # UTF-8 has no lone surrogates; the replacement \udXXX is also how JSON writes them.
    return text.encode("utf-8", "backslashreplace")


def _walk(template: dict[str, Any]) -> Iterator[tuple[int, Any]]:
    # Without recursion: the depth is what is being checked.
    waiting: list[tuple[int, Any]] = [(1, template)]
    while waiting:
        depth, value = waiting.pop()
        yield depth, value
        if depth > MAX_DEPTH:
            continue
        if isinstance(value, dict):
            waiting.extend((depth + 1, member) for member in value.values())
        elif isinstance(value, list):
            waiting.extend((depth + 1, member) for member in value)
