"""A span of time as somebody types it into a form, and as its address keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class TypedSpan:
    """What somebody typed of a span of time: times on the clock of a zone, the end may be empty."""

    since: str
    until: str
    zone: str
    suggestion: bool = False
    """Whether it stands there before anybody typed; in UTC, until a script shows it in the person's zone."""

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> "TypedSpan":
        """What a form or a link holds."""
        return cls(fields.get("since", "")[:40], fields.get("until", "")[:40], fields.get("zone", "")[:60] or "UTC")

    @classmethod
    def suggested(cls, since: datetime) -> "TypedSpan":
        """What a form begins with."""
        return cls(since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M"), "", "UTC", suggestion=True)

    @property
    def span(self) -> tuple[datetime, datetime | None] | None:
        """The span, if it is one."""
        since, until = self._moment(self.since), self._moment(self.until)
        if since is None or (self.until and until is None) or (until is not None and since >= until):
            return None
        return since, until

    @property
    def since_error(self) -> bool:
        """Whether there is no beginning."""
        return self._moment(self.since) is None

    @property
    def until_error(self) -> bool:
        """Whether the end is none, or not after the beginning."""
        return not self.since_error and self.span is None

    def parameters(self) -> dict[str, str]:
        """For the address of the form that shows it again."""
        return {"since": self.since, "until": self.until, "zone": self.zone}

    def _moment(self, text: str) -> datetime | None:
        try:
            moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(self.zone))
            # The first and last years of all have no UTC in some zones.
            return moment.astimezone(UTC) if 2000 <= moment.year < 2100 else None
        except (ValueError, OSError, KeyError):
            return None
