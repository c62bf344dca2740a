"""Attempts and metrics as the API shows them."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from yarl import URL

from dispatcher.delivery.masking import mask_url
from dispatcher.delivery.outcome import Outcome, Status
from dispatcher.delivery.record import Delivery
from dispatcher.events.types import EventType
from dispatcher.moments import moment
from dispatcher.portal.api.webhook_views import ShownMoment
from dispatcher.recording.history import Attempt, AttemptDetails, Bucket, Message, Metrics
from dispatcher.webhooks.webhook import Webhook


class MetricsView(BaseModel):
    """A webhook's messages by status; ``success_rate`` is between 0 and 1, null when none has ended."""

    model_config = ConfigDict(title="Metrics", from_attributes=True)

    successful: int
    pending: int
    in_progress: int
    failed: int
    total: int
    success_rate: float | None


class BucketView(BaseModel):
    """An hour or a day (UTC): messages that ended, attempts that were made, and how long these took."""

    model_config = ConfigDict(title="Bucket", from_attributes=True)

    start: ShownMoment
    successful: int
    failed: int
    attempts: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class History(BaseModel):
    """The buckets of a span of time, the earliest first."""

    items: list[BucketView]


class AttemptView(BaseModel):
    """An attempt. While it waits, ``next_attempt_at`` is when it is due; before it is made, the rest is null."""

    model_config = ConfigDict(title="Attempt", from_attributes=True)

    id: str
    message_id: str
    run: int
    attempt: int
    status: Status
    duration_ms: int | None
    response_code: int | None
    executed_on: ShownMoment | None
    error: str | None
    next_attempt_at: ShownMoment | None


class AttemptList(BaseModel):
    """A page of attempts, the newest first."""

    items: list[AttemptView]
    next_cursor: str | None


class Gap(BaseModel):
    """Attempts may not have been told: so many, which were not read in time; null, the client was away."""

    missed: int | None


class MessageView(BaseModel):
    """A message: what became of it in all of its runs, and its attempts (at most 200), the latest first."""

    model_config = ConfigDict(title="Message")

    message_id: str
    status: Status
    runs: int
    event_type: EventType
    workspace_id: str | None = Field(description="The device that the message is about, where it is about one")
    created_on: ShownMoment
    finished_on: ShownMoment | None
    attempts: list[AttemptView]


class SentRequest(BaseModel):
    """What was sent, secret values masked, at most 16 KiB of its body."""

    model_config = ConfigDict(from_attributes=True)

    url: str
    headers: dict[str, str]
    body: str
    truncated: bool


class ReceivedResponse(BaseModel):
    """What was answered, secret values masked, at most 16 KiB of its body."""

    model_config = ConfigDict(from_attributes=True)

    headers: dict[str, str]
    body: str
    truncated: bool


class AttemptDetailsView(AttemptView):
    """An attempt with what was sent and answered."""

    model_config = ConfigDict(title="AttemptDetails")

    request: SentRequest
    response: ReceivedResponse


def metrics_view(metrics: Metrics) -> MetricsView:
    """The metrics as the API shows them."""
    return MetricsView.model_validate(metrics)


def bucket_view(bucket: Bucket) -> BucketView:
    """A bucket as the API shows it."""
    return BucketView.model_validate(bucket)


def attempt_view(attempt: Attempt) -> AttemptView:
    """An attempt as the API shows it."""
    return AttemptView(**_members(attempt))


def details_view(details: AttemptDetails, webhook: Webhook) -> AttemptDetailsView:
    """An attempt with what was sent and answered, as the API shows it.

    The URL's path is not masked where the webhook's was called and is what it was then: who may read this may read the
    webhook. What is left of two URLs may be the same when they are masked, so the webhook has not changed since either.
    """
    request = SentRequest.model_validate(details.request)
    executed_on = details.attempt.executed_on
    url = URL(webhook.target_url, encoded=True)
    if executed_on is not None and webhook.updated_on <= executed_on and request.url == mask_url(url):
        request = request.model_copy(update={"url": mask_url(url, whole_path=True)})
    return AttemptDetailsView(
        **_members(details.attempt),
        request=request,
        response=ReceivedResponse.model_validate(details.response),
    )


def message_view(message: Message, attempts: Iterable[Attempt]) -> MessageView:
    """A message with its attempts as the API shows them."""
    return MessageView(
        message_id=message.message_id,
        status=message.status,
        runs=message.runs,
        event_type=EventType(message.event_type),
        workspace_id=message.workspace_id or None,
        created_on=message.created_on,
        finished_on=message.finished_on,
        attempts=[attempt_view(attempt) for attempt in attempts],
    )


def views_of_outcome(outcome: Outcome) -> list[AttemptView]:
    """The rows that an outcome makes: its attempt's, and that of the attempt to come."""
    made = Attempt(
        message_id=outcome["message_id"],
        run=outcome["run"],
        attempt=outcome["attempt"],
        status=outcome["status"],
        duration_ms=outcome["duration_ms"],
        response_code=outcome["response_code"],
        executed_on=None if outcome["executed_on"] is None else moment(outcome["executed_on"]),
        error=outcome["error"],
        next_attempt_at=moment(outcome["due_at"]) if outcome["status"] == "pending" else None,
    )
    if outcome["status"] != "failed" or outcome["next_attempt_at"] is None:
        return [attempt_view(made)]
    following = _waiting(outcome["message_id"], outcome["run"], outcome["attempt"] + 1, outcome["next_attempt_at"])
    return [attempt_view(made), following]


def view_of_delivery(delivery: Delivery, *, due_at: int) -> AttemptView:
    """The row of an attempt that waits to be made since ``due_at``, in milliseconds since the epoch."""
    return _waiting(delivery.message_id, delivery.run, delivery.attempt, due_at)


def _waiting(message_id: str, run: int, attempt: int, due_at: int) -> AttemptView:
    return attempt_view(
        Attempt(
            message_id=message_id,
            run=run,
            attempt=attempt,
            status="pending",
            duration_ms=None,
            response_code=None,
            executed_on=None,
            error="",
            next_attempt_at=moment(due_at),
        )
    )


def _members(attempt: Attempt) -> Mapping[str, Any]:
    shown = {name: getattr(attempt, name) for name in AttemptView.model_fields}
    return {**shown, "error": attempt.error or None}
