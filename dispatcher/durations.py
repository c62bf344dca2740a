"""Durations as people write them in settings and in ``topics.yaml``: ``500ms``, ``15s``, ``5m``, ``2h``, ``28d``."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_PATTERN = re.compile(r"(\d+)(ms|s|m|h|d)", re.ASCII)

LONGEST = timedelta(days=36_500)
"""Sums of a few durations, and of one and a time of today, are never too large for their types."""

# More of them are not looked at: Python refuses thousands, and nobody means any of these numbers.
_DIGITS = 16


def parse_duration(text: str) -> timedelta:
    """Read ``<whole number><unit>``, the unit one of ms, s, m, h and d.

    Raises:
        ValueError: the text is not of that form, or longer than ``LONGEST``.
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write a whole number and ms, s, m, h or d, such as 15s")
    number, unit = match[1].lstrip("0") or "0", match[2]
    if len(number) > _DIGITS or int(number) * _UNITS[unit] > milliseconds_of(LONGEST):
        raise ValueError(f"{text!r} is longer than {format_duration(LONGEST)}, the longest that there is")
    return timedelta(milliseconds=int(number) * _UNITS[unit])


def format_duration(duration: timedelta) -> str:
    """Write a duration with the largest unit that keeps it whole; ``parse_duration`` reads it back."""
    milliseconds = milliseconds_of(duration)
    if milliseconds == 0:
        return "0s"
    unit = next(unit for unit, size in _UNITS.items() if milliseconds % size == 0)
    return f"{milliseconds // _UNITS[unit]}{unit}"


def milliseconds_of(duration: timedelta) -> int:
    """Whole milliseconds of a duration."""
    return duration // timedelta(milliseconds=1)


def _with_its_unit(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} has no unit; write a whole number and ms, s, m, h or d, such as 15s")  # noqa: TRY004
    return parse_duration(value)


Duration = Annotated[
    timedelta,
    BeforeValidator(_with_its_unit),
    PlainSerializer(format_duration, return_type=str),
]
