"""A span of time as somebody types it into a form, and as its address keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class TypedSpan:
    """What somebody typed, at ``now``, of a span of the past: times on the clock of a zone, the end may be empty."""

    since: str
    until: str
    zone: str
    now: datetime
    suggestion: bool = False
    """Whether it stands there before anybody typed; in UTC, until a script shows it in the person's zone."""

    @classmethod
    def of(cls, fields: Mapping[str, str], now: datetime) -> "TypedSpan":
        """What a form or a link holds."""
        zone = fields.get("zone", "")[:60] or "UTC"
        return cls(fields.get("since", "")[:40], fields.get("until", "")[:40], zone, now)

    @classmethod
    def suggested(cls, lasting: timedelta, now: datetime) -> "TypedSpan":
        """What a form begins with."""
        return cls((now - lasting).astimezone(UTC).strftime("%Y-%m-%dT%H:%M"), "", "UTC", now, suggestion=True)

    @property
    def span(self) -> tuple[datetime, datetime | None] | None:
        """The span, if it is one."""
        since, until = self._moment(self.since), self._end
        if since is None or since >= self.now or (self.until and until is None) or (until and since >= until):
            return None
        return since, until

    @property
    def since_error(self) -> bool:
        """Whether there is no beginning."""
        return self._moment(self.since) is None

    @property
    def since_to_come(self) -> bool:
        """Whether the beginning has not come yet."""
        since = self._moment(self.since)
        return since is not None and since >= self.now

    @property
    def until_error(self) -> bool:
        """Whether the end is none, or not after the beginning."""
        return not self.since_error and not self.since_to_come and self.span is None

    def parameters(self) -> dict[str, str]:
        """For the address of the form that shows it again."""
        return {"since": self.since, "until": self.until, "zone": self.zone}

    @property
    def _end(self) -> datetime | None:
        """The end: the later of two, where the clock showed that time twice, so that nothing between is left out."""
        first, second = self._moment(self.until), self._moment(self.until, fold=1)
        return max(first, second) if first and second else None

    def _moment(self, text: str, *, fold: int = 0) -> datetime | None:
        return typed_moment(text, self.zone, fold=fold)


def typed_moment(text: str, zone: str, *, fold: int = 0) -> datetime | None:
    """The moment that somebody typed, on the clock of a zone; None: it is none."""
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
        # The first and last years of all have no UTC in some zones.
        return moment.astimezone(UTC) if 2000 <= moment.year < 2100 else None
    except (ValueError, OSError, KeyError):
        return None
