"""What other parts of the dispatcher say in English, said again in sentences of the person's language."""

import re
from collections.abc import Callable, Mapping


class Phrases:
    """``words``: what is found → what is said instead, marked by ``N_``. ``%(name)s`` stands for what differs."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self._patterns = [(_pattern(found), said) for found, said in words.items()]

    def said(self, text: str, gettext: Callable[[str], str]) -> str | None:
        """The sentence that people read; None where there is none for this text."""
        for pattern, said in self._patterns:
            match = pattern.fullmatch(text)
            if match is not None:
                return gettext(said) % match.groupdict()
        return None


def _pattern(found: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.*?)", re.escape(found)), re.DOTALL)
