"""Moments as records and tables have them: milliseconds since the epoch."""

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def milliseconds(moment: datetime) -> int:
    """Of an aware moment; what is smaller than a millisecond is left out."""
    return (moment - EPOCH) // _MILLISECOND


def moment(milliseconds: int) -> datetime:
    """The moment, in UTC."""
    return EPOCH + milliseconds * _MILLISECOND
