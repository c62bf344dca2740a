"""Attempts as CSV that spreadsheets open safely: no cell is taken for a formula."""

import csv
import io
from collections.abc import Iterable
from datetime import datetime

from dispatcher.portal.api.attempt_views import AttemptView
from dispatcher.rfc3339 import rfc3339

COLUMNS = tuple(AttemptView.model_fields)

_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - full-width forms too


def header_line(*, for_spreadsheets: bool) -> bytes:
    """The names of the columns; for spreadsheets after the mark by which they know UTF-8."""
    return (b"\xef\xbb\xbf" if for_spreadsheets else b"") + _line(COLUMNS)


def lines(attempts: Iterable[AttemptView]) -> bytes:
    """A line for each attempt."""
    return b"".join(_line(_cell(getattr(attempt, name)) for name in COLUMNS) for attempt in attempts)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return rfc3339(value)
    text = str(value)
    return f"'{text}" if text.startswith(_STARTS_A_FORMULA) else text


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode(errors="replace")
