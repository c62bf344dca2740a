"""JSON as people read it: indented, coloured, a template's variables marked."""

import json
import re
from collections.abc import Collection
from html import escape
from typing import Any

from markupsafe import Markup

from dispatcher.portal.pages.hostile import shown_block, unseen_marked

# A string may be cut before its closing quote: it goes to the end then, or each quote in it would be tried as another.
_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*(?:"|\\?\Z))(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?')
_VARIABLE = re.compile(r"#([A-Za-z0-9_]+)")
_LONGEST = 64 * 1024

# A list of ones has a token in every two characters: a second of colours, in which a portal does nothing else.
_MOST_COLOURED = 2_000
_MOST_LINES = 50_000

# A hundred lists in each other, and a hundred thousand numbers in the innermost, are a hundred times as long in lines.
_LONGEST_IN_LINES = 1024 * 1024
_IN_LINES = json.JSONEncoder(indent=2, ensure_ascii=False)
_IN_ONE_LINE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def as_json(value: Any) -> str:
    """Laid out in lines, whole, to be edited and copied.

    In one line if it would be longer than 1 Mi characters, or have more than 50,000 lines or commas.
    """
    text = _IN_ONE_LINE.encode(value)
    if not _has_too_many_lines(text):
        pieces, length = [], 0
        for piece in _IN_LINES.iterencode(value):
            pieces.append(piece)
            length += len(piece)
            if length > _LONGEST_IN_LINES:
                break
        else:
            text = "".join(pieces)
    # Half of a surrogate pair is no text; JSON writes it as its code.
    return text.encode("utf-8", "backslashreplace").decode()


def coloured_json(text: str, variables: Collection[str] = ()) -> Markup:
    """Markup for inside of ``<pre>``; what is longer than 64 Ki characters is cut, what follows 2,000 tokens plain."""

    def coloured(token: re.Match[str]) -> str:
        string, colon = token[1], token[2]
        if string is None:
            return f'<span class="json-value">{token[0]}</span>'
        if variables:
            string = _VARIABLE.sub(marked, string)
        return f'<span class="json-{"key" if colon else "string"}">{string}</span>{colon or ""}'

    def marked(found: re.Match[str]) -> str:
        return f'<span class="json-variable">{found[0]}</span>' if found[1] in variables else found[0]

    # Escaped all at once, which leaves quotes as they are: they mean nothing outside of tags.
    html = escape(text[:_LONGEST], quote=False)
    html = unseen_marked(_TOKEN.sub(coloured, html, count=_MOST_COLOURED))
    return Markup(f"{html}…" if len(text) > _LONGEST else html)  # noqa: S704 - it is escaped


def pretty_body(body: str) -> Markup:
    """A body that was sent or answered, for inside of ``<pre>``: as JSON where it is JSON, else as it came."""
    if _has_too_many_lines(body):
        return coloured_json(body) if body.startswith(("{", "[")) else shown_block(body)
    try:
        value = json.loads(body)
        # What can be read may still be nested too deeply to be written with indents.
        return coloured_json(as_json(value)) if isinstance(value, dict | list) else shown_block(body)
    except (ValueError, RecursionError):
        return shown_block(body)


def _has_too_many_lines(text: str) -> bool:
    """Before anything is laid out, which takes as long as a second; commas in strings are counted too."""
    return text.count(",") + text.count("[") + text.count("{") > _MOST_LINES


def is_json(body: str) -> bool:
    """Whether a body has a form to be laid out in."""
    if not body.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
