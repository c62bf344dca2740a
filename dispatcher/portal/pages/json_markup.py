"""JSON as people read it: indented, coloured, a template's variables marked."""

import json
import re
from collections.abc import Collection
from typing import Any

from markupsafe import Markup, escape

from dispatcher.portal.pages.hostile import shown_block

# A string may be cut before its closing quote: it goes to the end then, or each quote in it would be tried as another.
_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*(?:"|\\?\Z))(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?')
_VARIABLE = re.compile(r"#([A-Za-z0-9_]+)")
_LONGEST = 64 * 1024

# A hundred lists in each other, and a hundred thousand numbers in the innermost, are a hundred times as long in lines.
_LONGEST_IN_LINES = 1024 * 1024
_IN_LINES = json.JSONEncoder(indent=2, ensure_ascii=False)
_IN_ONE_LINE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def as_json(value: Any) -> str:
    """Laid out in lines, whole, to be edited and copied; in one line if it would be longer than 1 Mi characters."""
    pieces, length = [], 0
    for piece in _IN_LINES.iterencode(value):
        pieces.append(piece)
        length += len(piece)
        if length > _LONGEST_IN_LINES:
            pieces = [_IN_ONE_LINE.encode(value)]
            break
    # Half of a surrogate pair is no text; JSON writes it as its code.
    return "".join(pieces).encode("utf-8", "backslashreplace").decode()


def coloured_json(text: str, variables: Collection[str] = ()) -> Markup:
    """Markup for inside of ``<pre>``; what is longer than 64 Ki characters is cut."""
    cut, text = len(text) > _LONGEST, text[:_LONGEST]
    pieces, start = [], 0
    for token in _TOKEN.finditer(text):
        pieces.append(escape(text[start : token.start()]))
        string, colon = token[1], token[2]
        if string is None:
            pieces.append(Markup('<span class="json-value">{}</span>').format(token[0]))
        else:
            kind = "json-key" if colon else "json-string"
            pieces.append(Markup('<span class="{}">{}</span>{}').format(kind, _string(string, variables), colon or ""))
        start = token.end()
    pieces.append(shown_block(text[start:]))
    if cut:
        pieces.append(Markup("…"))
    return Markup("").join(pieces)


def pretty_body(body: str) -> Markup:
    """A body that was sent or answered, for inside of ``<pre>``: as JSON where it is JSON, else as it came."""
    try:
        value = json.loads(body)
        # What can be read may still be nested too deeply to be written with indents.
        return coloured_json(as_json(value)) if isinstance(value, dict | list) else shown_block(body)
    except (ValueError, RecursionError):
        return shown_block(body)


def _string(text: str, variables: Collection[str]) -> Markup:
    pieces, start = [], 0
    for found in _VARIABLE.finditer(text):
        if found[1] in variables:
            pieces.append(shown_block(text[start : found.start()]))
            pieces.append(Markup('<span class="json-variable">{}</span>').format(found[0]))
            start = found.end()
    pieces.append(shown_block(text[start:]))
    return Markup("").join(pieces)


def is_json(body: str) -> bool:
    """Whether a body has a form to be laid out in."""
    if not body.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
