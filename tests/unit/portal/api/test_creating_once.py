"""A creation with an ``Idempotency-Key`` that comes to several portals."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest
from aiohttp.test_utils import make_mocked_request

from dispatcher.portal.api.idempotency import IdempotencyKeys
from dispatcher.portal.api.operation import Call, NoQuery
from dispatcher.portal.api.problems import Problem
from dispatcher.portal.api.webhook_views import CreatedWebhook, NewWebhook
from dispatcher.portal.api.webhooks import WebhooksApi
from dispatcher.portal.audit import Audit
from dispatcher.portal.changes import Changes
from dispatcher.webhooks.directory import Directory
from dispatcher.webhooks.secrets import rotate
from dispatcher.webhooks.store import Preceded, SameConfiguration, StaleRevision
from dispatcher.webhooks.webhook import Webhook
from tests.support.serving import CALLER
from tests.support.webhooks import named_webhooks

MEMBERS = {
    "name": "Tickets",
    "event_type": "active_alert",
    "target_url": "https://tickets.example/hook",
    "items": {"all": True},
    "payload_template": {"text": "#alert_name"},
}
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)


class Log:
    """What ``webhooks.config`` holds: records with the revision that their writer had seen."""

    def __init__(self) -> None:
        self.records: list[tuple[str, Webhook | None, int]] = []


class Store:
    """A portal's writing side, which reads the log when it has written."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.directory = Directory()
        self.dies = False
        """Whether the portal dies when it has written a webhook, before it takes it back."""

    def read(self) -> None:
        for offset in range(self.directory.next_offset, len(self._log.records)):
            id, webhook, base = self._log.records[offset]
            self.directory.apply(offset, id, webhook, base + 1, base)

    async def create(self, webhook: Webhook, *, entry: bytes, instead_of: Callable[[Webhook], bool]) -> None:  # noqa: ARG002 - as a Store has it
        if self.directory.revision(webhook.id):
            raise StaleRevision(1, None)
        self.write(webhook.id, webhook, 0)
        if self.dies:
            raise ConnectionError
        if self.directory.ignored(len(self._log.records) - 1):
            raise StaleRevision(1, None)
        if (other := self.directory.same_as(webhook)) is not None:
            self.write(webhook.id, None, 1)
            raise SameConfiguration(other)
        if self.directory.told_before(webhook, instead_of):
            self.write(webhook.id, None, 1)
            raise Preceded

    def write(self, id: str, webhook: Webhook | None, base: int) -> None:
        self._log.records.append((id, webhook, base))
        self.read()


class Portal:
    """One of several, with a clock of its own; it has read what is in the log when it wrote, or was told to."""

    def __init__(self, log: Log, now: datetime = MIDNIGHT + timedelta(hours=12)) -> None:
        self.now = now
        self.store = Store(log)
        audit = Audit(AsyncMock(), "audit", lambda: self.now)
        changes = Changes(self.store.directory, cast("Any", self.store), audit, lambda: self.now)
        self._api = WebhooksApi(named_webhooks(), changes, IdempotencyKeys(monotonic), lambda: self.now)

    async def create(self, key: str = "k", **members: Any) -> CreatedWebhook:
        body = NewWebhook.model_validate({**MEMBERS, **members})
        path = {"organization_id": "org-contoso"}
        request = make_mocked_request("POST", "/", headers={"Idempotency-Key": key}, match_info=path)
        call = Call(CALLER, path, NoQuery(), body, body.model_dump_json().encode(), request)
        return (await self._api.create_webhook(call)).body

    @property
    def ids(self) -> list[str]:
        return [webhook.id for webhook in self.store.directory.of_organization("org-contoso")]


@pytest.fixture
def log() -> Log:
    return Log()


async def test_whoever_has_not_read_of_it_yet_answers_the_same(log: Log) -> None:
    one, other = Portal(log), Portal(log)
    created = await one.create()
    assert await other.create() == created
    assert await other.create("another key", target_url="https://other.example/") != created
    assert len(other.ids) == 2


async def test_whoever_has_read_of_it_writes_nothing_and_answers_as_it_was_then(log: Log) -> None:
    one, other = Portal(log), Portal(log)
    created = await one.create()
    [webhook] = one.store.directory.of_organization("org-contoso")
    secrets = rotate(webhook.secrets, one.now)
    one.store.write(webhook.id, webhook.model_copy(update={"name": "Changed since", "secrets": secrets}), 1)
    other.store.read()
    written = len(log.records)
    other.now += timedelta(hours=11)
    assert await other.create() == created
    assert len(log.records) == written


async def test_a_key_means_one_request(log: Log) -> None:
    one, other = Portal(log), Portal(log)
    await one.create()
    other.store.read()
    with pytest.raises(Problem) as caught:
        await other.create(name="Other")
    assert caught.value.status == 422


async def test_of_two_requests_with_a_key_at_once_the_first_in_the_log_is_done(log: Log) -> None:
    one, other = Portal(log), Portal(log)
    created = await one.create()
    with pytest.raises(Problem) as caught:
        await other.create(name="Other", target_url="https://other.example/")
    assert caught.value.status == 422
    assert other.ids == [created.id]
    one.store.read()
    assert one.ids == [created.id]
    assert (await one.create()).id == created.id


async def test_what_was_not_taken_back_is_nobody_s_answer(log: Log) -> None:
    one, other, third = Portal(log), Portal(log), Portal(log)
    created = await one.create()
    other.store.dies = True
    body = {"name": "Other", "target_url": "https://other.example/"}
    with pytest.raises(ConnectionError):
        await other.create(**body)
    third.store.read()
    assert len(third.ids) == 2
    with pytest.raises(Problem) as caught:
        await third.create(**body)
    assert caught.value.status == 422
    assert await third.create() == created


@pytest.mark.parametrize("ahead", [True, False])
async def test_clocks_on_both_sides_of_midnight_are_no_matter(log: Log, *, ahead: bool) -> None:
    second = timedelta(seconds=1)
    days = (MIDNIGHT + second, MIDNIGHT - second)
    one, other = (Portal(log, now) for now in (days if ahead else days[::-1]))
    created = await one.create()
    assert await other.create() == created
    assert other.ids == [created.id]


@pytest.mark.parametrize("ahead", [True, False])
async def test_of_a_request_that_was_done_on_both_sides_of_midnight_the_first_counts(log: Log, *, ahead: bool) -> None:
    second = timedelta(seconds=1)
    days = (MIDNIGHT + second, MIDNIGHT - second)
    one, other = (Portal(log, now) for now in (days if ahead else days[::-1]))
    created = await one.create()
    other.store.dies = True
    with pytest.raises(ConnectionError):
        await other.create()
    assert len(other.ids) == 2
    assert await other.create() == created


async def test_after_a_day_a_key_is_a_new_one_and_gives_no_id_twice(log: Log) -> None:
    one, later = Portal(log), Portal(log)
    created = await one.create()
    later.store.read()
    later.now += timedelta(days=1)
    again = await later.create(name="Again", target_url="https://again.example/")
    assert again.id != created.id
    later.store.write(again.id, None, 1)
    last = await Portal(log, later.now).create(name="Again", target_url="https://again.example/")
    assert last.id not in {created.id, again.id}
