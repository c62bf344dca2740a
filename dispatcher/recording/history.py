"""What the portal shows of a webhook's past, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from dispatcher.delivery.outcome import Status

BucketSize = Literal["hour", "day"]

BUCKETS: dict[BucketSize, timedelta] = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class Metrics:
    """A webhook's messages by status, of the 13 months that are kept."""

    successful: int
    pending: int
    in_progress: int
    failed: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.successful + self.pending + self.in_progress + self.failed

    @property
    def success_rate(self) -> float | None:
        """The successful ones among those that have ended, from 0 to 1; None where none has."""
        ended = self.successful + self.failed
        return self.successful / ended if ended else None


@dataclass(frozen=True, slots=True)
class Bucket:
    """An hour or a day: messages that ended, attempts that were made, and the quantiles of how long these took."""

    start: datetime
    successful: int = 0
    failed: int = 0
    attempts: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A row of the attempts' table. It has ``executed_on``, or ``next_attempt_at`` while it waits."""

    message_id: str
    run: int
    attempt: int
    status: Status
    duration_ms: int | None
    response_code: int | None
    executed_on: datetime | None
    error: str
    next_attempt_at: datetime | None

    @property
    def id(self) -> str:
        """The same from pending to the end."""
        return f"{self.message_id}-{self.run}-{self.attempt}"


@dataclass(frozen=True, slots=True)
class Page:
    """A page of attempts, newest first; ``next_cursor`` is None on the last."""

    items: Sequence[Attempt]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """What was sent; for an attempt that waits, its body alone. The body is empty where it is not kept any more."""

    url: str
    headers: Mapping[str, str]
    body: str
    truncated: bool


@dataclass(frozen=True, slots=True)
class Response:
    """What was answered."""

    headers: Mapping[str, str]
    body: str
    truncated: bool


@dataclass(frozen=True, slots=True)
class AttemptDetails:
    """An attempt with what was sent and answered."""

    attempt: Attempt
    request: Request
    response: Response


MOST_RUNS = 255
"""How often a message can be sent, all in all: the tables for analysts count in a byte."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message. ``attempts`` were made or are being made, in all of its runs."""

    message_id: str
    status: Status
    runs: int
    attempts: int
    created_on: datetime
    finished_on: datetime | None
    event_type: str
    workspace_id: str
