"""Which URL the details of an attempt show, and how much of it."""

from datetime import timedelta

import pytest
from yarl import URL

from dispatcher.delivery.masking import mask_url
from dispatcher.portal.api.attempt_views import details_view
from dispatcher.recording.history import Attempt, AttemptDetails, Request, Response
from tests.support.webhooks import a_webhook

WEBHOOK = a_webhook(target_url="https://hooks.example/T1/a-token-that-is-rather-long")
BEFORE = a_webhook(target_url="https://hooks.example/T0/a-token-that-is-rather-long")
ROTATED = a_webhook(target_url="https://hooks.example/T1/another-token-that-is-long")
MASKED = mask_url(URL(WEBHOOK.target_url, encoded=True))


def shown(stored: str, *, executed: timedelta | None) -> str:
    """What is shown of a URL that is stored masked; ``executed`` so long after the webhook was changed last."""
    attempt = Attempt(
        message_id="m",
        run=1,
        attempt=1,
        status="failed" if executed is not None else "in_progress",
        duration_ms=None,
        response_code=None,
        executed_on=None if executed is None else WEBHOOK.updated_on + executed,
        error="",
        next_attempt_at=None,
    )
    details = AttemptDetails(attempt, Request(stored, {}, "", truncated=False), Response({}, "", truncated=False))
    return details_view(details, WEBHOOK).request.url


def test_the_url_of_a_webhook_that_was_called_is_shown_with_its_path() -> None:
    assert shown(MASKED, executed=timedelta(0)) == WEBHOOK.target_url


@pytest.mark.parametrize("executed", [timedelta(seconds=1), None])
def test_where_nobody_was_called_none_is_shown(executed: timedelta | None) -> None:
    assert shown("", executed=executed) == ""


def test_what_the_webhook_was_before_is_shown_where_that_was_called_a_moment_after_the_change() -> None:
    masked = mask_url(URL(BEFORE.target_url, encoded=True))
    assert shown(masked, executed=timedelta(seconds=1)) == masked


def test_another_token_is_not_shown_for_the_one_before() -> None:
    assert mask_url(URL(ROTATED.target_url, encoded=True)) == MASKED
    assert shown(MASKED, executed=timedelta(seconds=-1)) == MASKED
