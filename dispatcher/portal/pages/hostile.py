"""Text that others wrote, shown as text: isolated from the writing direction around it, what is unseen made visible."""

import re
import unicodedata
from functools import cache

from markupsafe import Markup, escape

LONGEST = 300
"""How many characters of a name, a URL or a header are shown."""

LONGEST_BLOCK = 64 * 1024
"""How many characters of a body or a template are shown."""

# Letters and their marks of Arabic, Syriac and the scripts of India, in which a joiner decides how they are written,
# and the signs that take a letter's vowel, which a joiner may follow at the end of a word.
_LETTERS = (
    "\u0620-\u065f\u066e-\u06d3\u06d5-\u06dc\u06df-\u06e8\u06ea-\u06ef\u06fa-\u06fc\u06ff\u0710-\u077f\u0860-\u0887"
    "\u0889-\u088f\u0892-\u08e1\u08e3-\u0963\u0971-\u09e5\u09f0\u09f1\u09fc\u09fe-\u0a65\u0a70-\u0a75\u0a77-\u0ae5"
    "\u0af9-\u0b65\u0b71\u0b82-\u0be5\u0c00-\u0c65\u0c80-\u0c83\u0c85-\u0ce5\u0cf1-\u0d4e\u0d54-\u0d57\u0d5f-\u0d65"
    "\u0d7a-\u0de5\u0df2\u0df3"
)
_VOWELLESS = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca"
# Pictographs by their blocks, of which each version of Unicode calls others so; what may follow one before a joiner.
_PICTOGRAPHS = (
    "\u2194-\u21aa\u231a-\u23ff\u25aa-\u27bf\u2934\u2935\u2b05-\u2b55\U0001f000-\U0001f3fa\U0001f400-\U0001faff"
)
_VARIATIONS = "\ufe0e\ufe0f\U0001f3fb-\U0001f3ff"
_JOINERS = "\u200c\u200d"
# Behind a joiner: it does what it is for, and has a look of its own.
_JOINS = "|".join(
    (
        f"(?<=[{_LETTERS}][{_JOINERS}])[{_LETTERS}]",
        f"(?<=[{_LETTERS}][{_VOWELLESS}]\u200d)",
        # What is looked back at has one length.
        *(f"(?<=[{_PICTOGRAPHS}][{_VARIATIONS}]{{{count}}}\u200d)[{_PICTOGRAPHS}]" for count in range(3)),
    )
)
# Controls, the marks and overrides of writing direction, zero-width and line separators, lone surrogates, tags.
_CHARACTERS = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f"
)
_UNSEEN, _UNSEEN_OR_LINE = (re.compile(f"[{each}](?!{_JOINS})") for each in (_CHARACTERS, f"{_CHARACTERS}\t\n"))


def plain(text: object, limit: int = LONGEST) -> str:
    """The text on one line, for titles and attributes."""
    return _UNSEEN_OR_LINE.sub(lambda found: _stand_in(found[0]), _cut(str(text), limit))


def shown(text: object, limit: int = LONGEST) -> Markup:
    """The text on one line, as markup."""
    return Markup(f"<bdi>{_UNSEEN_OR_LINE.sub(_mark, escape(_cut(str(text), limit)))}</bdi>")  # noqa: S704 - it is escaped


def shown_block(text: object) -> Markup:
    """The text with its lines, as markup for inside of ``<pre>``."""
    lines = str(text).replace("\r\n", "\n")
    return Markup(unseen_marked(escape(_cut(lines, LONGEST_BLOCK))))  # noqa: S704 - it is escaped


def unseen_marked(html: str) -> str:
    """What is unseen in text that is escaped, and has tags perhaps, made visible; lines stay."""
    return _UNSEEN.sub(_mark, html)


def _mark(found: re.Match[str]) -> str:
    return _mark_of(found[0])


@cache
def _mark_of(character: str) -> str:
    """What stands for one that is unseen, of which there are some thousands."""
    title = f"U+{ord(character):04X} {unicodedata.name(character, '')}"
    return f'<span class="unseen" title="{escape(title)}">{escape(_stand_in(character))}</span>'


def _stand_in(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"[U+{code:04X}]"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit].rstrip(_JOINERS)}…"
