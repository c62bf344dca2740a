"""The languages of the pages: gettext catalogues, read from their .po files when the portal starts.

A text is written in English where it is shown, in ``gettext("…")`` or ``{% trans %}``; ``python -m tools.catalogue``
collects the texts into ``locale/<language>/LC_MESSAGES/portal.po``, where the translations are written.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.dates import format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import NumberFormatError, format_decimal, format_percent, parse_decimal

LOCALE = Path(__file__).parent / "locale"
DOMAIN = "portal"
ENGLISH = "en"
LANGUAGES = {"en": "English", "es": "Español"}
"""The languages by their codes, each named in itself."""

_TYPED_NUMBER = re.compile(r"[+-]?[0-9.,]{1,40}")
_OTHER_SEPARATORS = str.maketrans(",.", ".,")
_ACCEPTED = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q\s*=\s*([0-9.]{1,5}))?\s*")


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark a text that is translated where it is shown."""
    return text


@dataclass(frozen=True, slots=True)
class Language:
    """A language with its texts, numbers and times."""

    code: str
    locale: Locale
    translations: NullTranslations

    def gettext(self, text: str) -> str:
        """The text in this language."""
        return self.translations.gettext(text)

    def number(self, value: float | Decimal, *, grouped: bool = True) -> str:
        """A number as people write it."""
        return str(
            format_decimal(value, locale=self.locale, decimal_quantization=False, group_separator=grouped),
        )

    def meant_by(self, typed: str) -> Sequence[float]:
        """What a number that somebody typed may mean: nothing where it is none, two where it is not clear.

        It is read as ``number`` writes it; where that fails, with point and comma in each other's place. ``number``
        ends no decimals with a zero: 1.500 in English may also be what others write for 1,500.
        """
        if not _TYPED_NUMBER.fullmatch(typed):
            return ()
        own, other = (self._read(text) for text in (typed, typed.translate(_OTHER_SEPARATORS)))
        if own is not None and other is not None and own < other and typed.endswith("0"):
            return own, other
        return tuple(one for one in (own, other) if one is not None)[:1]

    def _read(self, text: str) -> float | None:
        try:
            return float(parse_decimal(text, self.locale, strict=True))
        except NumberFormatError:
            return None

    def percent(self, share: float) -> str:
        """A share between 0 and 1; only what is all of it is shown as 100 %, and only nothing as 0 %."""
        shown = min(share, 0.999) if share < 1 else share
        shown = max(shown, 0.001) if share > 0 else shown
        pattern = str(self.locale.percent_formats[None].pattern).replace("#0", "#0.#")
        return str(format_percent(shown, format=pattern, locale=self.locale))

    def moment(self, moment: datetime) -> str:
        """A time in UTC, to the minute; a script turns it into the person's zone."""
        return f"{format_datetime(moment.astimezone(UTC), 'medium', tzinfo=UTC, locale=self.locale)} UTC"


@cache
def language(code: str) -> Language:
    """The language with one of the codes in ``LANGUAGES``."""
    return Language(code, Locale(code), _translations(code))


def chosen(cookie: str | None, accept_language: str) -> Language:
    """What the person chose, else the first of the browser's languages that there is, else English."""
    if cookie in LANGUAGES:
        return language(cookie)
    return language(next((code for code in _accepted(accept_language) if code in LANGUAGES), ENGLISH))


def catalogue_path(code: str) -> Path:
    """Where a language's translations are written."""
    return LOCALE / code / "LC_MESSAGES" / f"{DOMAIN}.po"


def _translations(code: str) -> NullTranslations:
    if code == ENGLISH:
        return NullTranslations()
    with catalogue_path(code).open("rb") as file:
        catalogue = read_po(file, locale=code)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


def _accepted(header: str) -> Sequence[str]:
    wishes = []
    for place, part in enumerate(header[:500].split(",")):
        found = _ACCEPTED.fullmatch(part)
        if found is not None:
            try:
                quality = float(found[2]) if found[2] else 1.0
            except ValueError:
                continue
            wishes.append((-quality, place, found[1].lower()))
    return [code for quality, _, code in sorted(wishes) if quality < 0]
