"""How names are sorted and searched: without regard to case and accents."""

from unicodedata import combining, normalize


def folded(text: str) -> str:
    """The text in lower case and without accents, so that ``ambito`` finds ``Ámbito``, which stands beside it."""
    if text.isascii():
        return text.lower()
    return "".join(one for one in normalize("NFKD", text) if not combining(one)).casefold()


def found_in(wanted: str, *texts: str) -> bool:
    """Whether any of the texts contains what is ``wanted``, which is folded already."""
    return any(wanted in folded(text) for text in texts)
