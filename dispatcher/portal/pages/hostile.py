"""Text that others wrote, shown as text: isolated from the writing direction around it, what is unseen made visible."""

import re
import unicodedata

from markupsafe import Markup, escape

LONGEST = 300
"""How many characters of a name, a URL or a header are shown."""

LONGEST_BLOCK = 64 * 1024
"""How many characters of a body or a template are shown."""

# Controls, the marks and overrides of writing direction, zero-width and line separators, lone surrogates, tags.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_UNSEEN_OR_LINE = re.compile(f"{_UNSEEN.pattern[:-1]}\t\n]")

_ISOLATED, _END = Markup("<bdi>"), Markup("</bdi>")


def plain(text: object, limit: int = LONGEST) -> str:
    """The text on one line, for titles and attributes."""
    return _UNSEEN_OR_LINE.sub(lambda found: _stand_in(found[0]), _cut(str(text), limit))


def shown(text: object, limit: int = LONGEST) -> Markup:
    """The text on one line, as markup."""
    return _ISOLATED + _marked(_UNSEEN_OR_LINE, _cut(str(text), limit)) + _END


def shown_block(text: object, limit: int = LONGEST_BLOCK) -> Markup:
    """The text with its lines, as markup for inside of ``<pre>``."""
    lines = str(text).replace("\r\n", "\n")
    return _marked(_UNSEEN, _cut(lines, limit))


def _marked(unseen: re.Pattern[str], text: str) -> Markup:
    pieces, start = [], 0
    for found in unseen.finditer(text):
        code = f"U+{ord(found[0]):04X}"
        pieces.append(escape(text[start : found.start()]))
        pieces.append(
            Markup('<span class="unseen" title="{} {}">{}</span>').format(
                code, unicodedata.name(found[0], ""), _stand_in(found[0])
            )
        )
        start = found.end()
    pieces.append(escape(text[start:]))
    return Markup("").join(pieces)


def _stand_in(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"[U+{code:04X}]"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"
