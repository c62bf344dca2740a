"""What keeps a change from being made, and how the API tells of it."""

from datetime import UTC, datetime
from unittest.mock import AsyncMock

import pytest

from dispatcher.portal.api.problems import Problem
from dispatcher.portal.api.webhooks import _conflicts_told
from dispatcher.portal.audit import Audit
from dispatcher.portal.changes import ChangedAllTheTime, Changes
from dispatcher.webhooks.directory import Directory
from dispatcher.webhooks.store import SameConfiguration, StaleRevision
from dispatcher.webhooks.webhook import DISPATCHER
from tests.support.webhooks import a_webhook

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
STALE = StaleRevision(2, None)


def changes_of(store: AsyncMock) -> Changes:
    directory = Directory()
    directory.apply(0, "wh-1", a_webhook("wh-1"), 1, 0)
    return Changes(directory, store, Audit(AsyncMock(), "webhooks.audit", lambda: NOON), lambda: NOON)


@pytest.mark.parametrize(
    ("refused", "one_revision", "raised", "asked"),
    [
        (STALE, True, StaleRevision, 1),
        (STALE, False, ChangedAllTheTime, 20),
        (SameConfiguration(a_webhook("wh-2")), False, SameConfiguration, 1),
    ],
)
async def test_what_keeps_a_change_from_being_made(
    refused: Exception, one_revision: bool, raised: type[Exception], asked: int
) -> None:
    store = AsyncMock()
    store.replace.side_effect = refused
    with pytest.raises(raised):
        await changes_of(store).change(
            "wh-1", DISPATCHER, "updated", lambda *_: {"name": "another"}, only_this=lambda _: one_revision
        )
    assert store.replace.await_count == asked


@pytest.mark.parametrize(("one_revision", "raised"), [(True, StaleRevision), (False, ChangedAllTheTime)])
async def test_what_keeps_a_webhook_from_being_deleted(one_revision: bool, raised: type[Exception]) -> None:
    store = AsyncMock()
    store.delete.side_effect = STALE
    with pytest.raises(raised):
        await changes_of(store).delete("wh-1", DISPATCHER, only_this=lambda _: one_revision)


async def test_who_is_faster_once_does_not_keep_others_from_their_change() -> None:
    store = AsyncMock()
    store.replace.side_effect = [STALE, None]
    changed = await changes_of(store).change("wh-1", DISPATCHER, "disabled", lambda *_: {"status": "disabled"})
    assert changed is not None
    assert [call.kwargs["based_on"] for call in store.replace.await_args_list] == [1, 1]


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (STALE, 412, "Somebody changed the webhook meanwhile"),
        (ChangedAllTheTime(), 409, "Others are changing this webhook all the time"),
        (SameConfiguration(a_webhook("wh-2", name="Tickets")), 409, r"'Tickets' \(wh-2\) has the same event type"),
    ],
)
def test_how_the_api_tells_of_it(error: Exception, status: int, detail: str) -> None:
    with pytest.raises(Problem, match=detail) as caught, _conflicts_told():
        raise error
    assert caught.value.status == status
    other = caught.value.details.webhook
    assert (other and other.id) == ("wh-2" if isinstance(error, SameConfiguration) else None)
