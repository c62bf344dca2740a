"""Bytes that came from anywhere, shown on one line of a terminal without harm."""

import unicodedata


def preview(content: bytes | None, characters: int) -> str:
    """The beginning of it as text.

    What a terminal would act upon or hide, control characters and marks of direction among it, is written as escapes,
    and so are bytes that are no UTF-8.
    """
    if content is None:
        return "(null)"
    # A character has at most four bytes; what is cut off must not look like broken UTF-8.
    start = content[: 4 * characters].decode(errors="backslashreplace")
    shown = "".join(map(_harmless, start[:characters]))
    return f"{shown}…" if len(start) > characters or len(content) > 4 * characters else shown


def _harmless(character: str) -> str:
    if character == " " or unicodedata.category(character)[0] not in "CZ":
        return character
    return character.encode("unicode_escape").decode()
