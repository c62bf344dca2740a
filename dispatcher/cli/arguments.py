"""What arguments of several commands have in common."""

from collections.abc import Sequence
from typing import TypeVar

import typer

_Given = TypeVar("_Given", bound=str | Sequence[str] | None)


def utf_8(value: _Given) -> _Given:
    """The ``callback`` of what becomes part of a record, a token or a question; other bytes are no part of any.

    Raises:
        BadParameter: the command line has other bytes.
    """
    try:
        if value is not None:
            "".join(value).encode()
    except UnicodeEncodeError:
        raise typer.BadParameter("is not UTF-8") from None
    return value
