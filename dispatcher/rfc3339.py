"""Times as RFC 3339 writes them, the one form that people and programs see."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """A time in UTC with milliseconds, such as ``2026-11-23T10:15:04.120Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
