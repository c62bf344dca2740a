"""What other parts of the dispatcher say in English, said again in sentences of the person's language."""

import re
from collections.abc import Mapping
from decimal import Decimal

from dispatcher.portal.pages.languages import Language

_HOLE = re.compile(r"%\\\((\w+)\\\)([sd])")
_KINDS = {"s": ".*?", "d": r"\d+(?:\.\d+)?"}


class Phrases:
    """``words``: what is found → what is said instead, marked by ``N_``.

    ``%(name)s`` stands for what differs; ``%(name)d`` is a number in what is found, said as the language writes it.
    """

    def __init__(self, words: Mapping[str, str]) -> None:
        self._phrases = [(*_pattern(found), said) for found, said in words.items()]

    def said(self, text: str, language: Language) -> str | None:
        """The sentence that people read; None where there is none for this text."""
        for pattern, numbers, said in self._phrases:
            match = pattern.fullmatch(text)
            if match is not None:
                differs = match.groupdict()
                shown = {name: language.number(Decimal(differs[name])) for name in numbers}
                return language.gettext(said) % {**differs, **shown}
        return None


def _pattern(found: str) -> tuple[re.Pattern[str], frozenset[str]]:
    escaped = re.escape(found)
    numbers = frozenset(name for name, kind in _HOLE.findall(escaped) if kind == "d")
    pattern = _HOLE.sub(lambda hole: f"(?P<{hole[1]}>{_KINDS[hole[2]]})", escaped)
    return re.compile(pattern, re.DOTALL), numbers
