"""Webhooks that the dispatcher disables by itself, and who hears of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dispatcher.delivery.outcome import Outcome, Status
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.portal import failing_webhooks
from dispatcher.portal.app import Portal
from dispatcher.portal.audit import Audit
from dispatcher.portal.changes import Changes
from dispatcher.portal.failing_webhooks import FailingWebhooks
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.failures import hours_of_attempts
from dispatcher.settings import Settings
from dispatcher.webhooks.change import Place, write_webhook
from dispatcher.webhooks.failing import FailingPolicy
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.store import WebhookStore
from dispatcher.webhooks.webhook import DISPATCHER, Webhook
from tests.support.clickhouse import ON_A_SERVER_TOO, insert, outcome
from tests.support.kafka import consume_all
from tests.support.portal import Api, vault_of
from tests.support.waiting import eventually
from tests.support.webhooks import a_webhook, disable_command

pytestmark = ON_A_SERVER_TOO

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=30)
REASON = "disabled: 120 of 120 attempts failed in the last 5 days; the last error: connection refused"
POLICY = FailingPolicy(timedelta(days=5), 0.99)


def attempts(
    webhook_id: str, status: Status = "failed", hours: Iterable[int] = range(240), **others: Any
) -> list[Outcome]:
    """An attempt in each of these hours before now."""
    error = "connection refused" if status == "failed" else ""
    about = {"webhook_id": webhook_id, "error": error, **others}
    moments = ((hour, int((NOW - timedelta(hours=hour)).timestamp() * 1000)) for hour in hours)
    return [outcome(f"m{hour}-{status}", 1, status, at=at, **about) for hour, at in moments]


async def notices(clients: KafkaClients, topics: Topics) -> list[dict[str, Any]]:
    return [json.loads(record.value) for record in await consume_all(clients, topics.notices)]


@pytest.fixture
async def store(
    settings: Settings, clients: KafkaClients, topics: Topics, follower: ConfigFollower
) -> AsyncIterator[WebhookStore]:
    async with clients.producer(enable_idempotence=True) as producer:
        yield WebhookStore(producer, topics, vault_of(settings), follower)


Looker = Callable[[], Awaitable[FailingWebhooks]]


@pytest.fixture
async def looker(
    settings: Settings, clients: KafkaClients, topics: Topics, clickhouse: ClickHouse
) -> AsyncIterator[Looker]:
    """Makes what looks for failing webhooks in a portal of its own."""
    async with AsyncExitStack() as stack:

        async def make() -> FailingWebhooks:
            vault = vault_of(settings)
            follower = ConfigFollower(clients, topics, vault)
            await follower.start()
            stack.push_async_callback(follower.stop)
            producer = await stack.enter_async_context(clients.producer(enable_idempotence=True))
            audit = Audit(producer, topics.audit, lambda: NOW)
            store = WebhookStore(producer, topics, vault, follower)
            return FailingWebhooks(
                POLICY, Changes(follower.directory, store, audit, lambda: NOW), clickhouse, lambda: NOW
            )

        yield make


async def test_two_portals_disable_what_failed_for_days_once(
    api: Api, store: WebhookStore, looker: Looker, clickhouse: ClickHouse, clients: KafkaClients, topics: Topics
) -> None:
    for webhook in (
        a_webhook("wh-dead", updated_on=LONG_AGO),
        a_webhook("wh-well", updated_on=LONG_AGO),
        a_webhook("wh-edited", updated_on=NOW - timedelta(days=1)),
        a_webhook("wh-uncalled", updated_on=LONG_AGO),
        a_webhook("wh-off", updated_on=LONG_AGO, status="disabled"),
    ):
        await store.create(webhook)
    failures = [row for id in ("wh-dead", "wh-well", "wh-edited", "wh-off", "wh-deleted") for row in attempts(id)]
    uncalled = attempts("wh-uncalled", duration_ms=None, error="not sent: the webhook is disabled")
    await insert(clickhouse, [*failures, *uncalled, *attempts("wh-well", "successful", [2])])
    # What is inserted again, and not merged yet, is not counted twice.
    await insert(clickhouse, attempts("wh-dead"))

    one, other = await looker(), await looker()
    disabled = await asyncio.gather(one.look(), other.look())
    assert sorted(map(list, disabled)) == [[], ["wh-dead"]]
    assert await one.look() == await other.look() == []

    await eventually(lambda: _is_told(clients, topics, 1))
    shown = (await api("GET", "/webhooks/wh-dead")).body
    assert (shown["status"], shown["disabled_reason"]) == ("disabled", REASON)
    assert shown["updated_by"] == {"id": "dispatcher", "name": "Dispatcher"}
    [entry] = (await api("GET", "/webhooks/wh-dead/audit")).body["items"]
    assert (entry["action"], entry["reason"], entry["by"]["id"]) == ("disabled", REASON, "dispatcher")
    others = (await api("GET", "/webhooks?status=enabled")).body["items"]
    assert {each["id"] for each in others} == {"wh-well", "wh-edited", "wh-uncalled"}
    [notice] = await notices(clients, topics)
    assert notice["type"] == "webhook_disabled"
    assert notice["data"] == {
        "organization_id": "org-contoso",
        "webhook_id": "wh-dead",
        "name": "Webhook wh-dead",
        "reason": REASON,
    }

    # Whoever enables it gets as much time again.
    assert (await api("POST", "/webhooks/wh-dead/enable")).body["disabled_reason"] is None
    assert await one.look() == []


async def _is_told(clients: KafkaClients, topics: Topics, count: int) -> bool:
    return len(await notices(clients, topics)) >= count


async def test_a_change_in_the_meantime_has_the_last_word(
    store: WebhookStore,
    follower: ConfigFollower,
    looker: Looker,
    clickhouse: ClickHouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    webhook = await store.create(a_webhook("wh-dead", updated_on=LONG_AGO))
    await insert(clickhouse, attempts("wh-dead"))

    async def ask_while_somebody_edits(*about: Any) -> Any:
        answer = await hours_of_attempts(*about)
        await store.replace(webhook.model_copy(update={"name": "Repaired", "updated_on": NOW}), 1)
        return answer

    monkeypatch.setattr(failing_webhooks, "hours_of_attempts", ask_while_somebody_edits)
    assert await (await looker()).look() == []
    await eventually(lambda: not follower.directory.unsettled, what="the loser made good what it wrote")
    shown = follower.directory.get("wh-dead")
    assert shown is not None
    assert (shown.name, shown.status) == ("Repaired", "enabled")


@pytest.mark.parametrize("after", [None, timedelta(days=5)])
async def test_the_portal_looks_only_where_the_settings_say_so(
    after: timedelta | None,
    settings: Settings,
    clients: KafkaClients,
    topics: Topics,
    follower: ConfigFollower,
    store: WebhookStore,
    clickhouse: ClickHouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(failing_webhooks, "_FIRST_LOOK_SECONDS", 0.0)
    await store.create(a_webhook("wh-dead", updated_on=LONG_AGO))
    await insert(clickhouse, attempts("wh-dead"))
    asked = asyncio.Event()
    query = clickhouse.query

    async def ask(sql: str, parameters: Any = None) -> Any:
        if "attempt_states" in sql:
            asked.set()
        return await query(sql, parameters)

    monkeypatch.setattr(clickhouse, "query", ask)
    settings = settings.model_copy(update={"disable_failing_after": after})
    portal = Portal(settings, clients, topics, follower, vault_of(settings), clickhouse)
    await portal.start()
    try:
        if after is not None:
            await eventually(lambda: _is_told(clients, topics, 1))
    finally:
        await portal.stop()
    assert asked.is_set() == (after is not None)
    webhook = follower.directory.get("wh-dead")
    assert webhook is not None
    # The portal has the clock's time, and other hours may have begun since NOW.
    reasons = {REASON.replace("120", str(failed)) for failed in range(110, 121)}
    assert webhook.disabled_reason in (reasons if after is not None else {None})


async def test_a_target_that_is_gone_is_told_once(
    api: Api, portal: Portal, clients: KafkaClients, topics: Topics
) -> None:
    gone, left = [(await api.create(target_url=f"https://{n}.example/"))["id"] for n in range(2)]
    for id in (gone, left):
        await api("POST", f"/webhooks/{id}/enable")
    assert (await api("POST", f"/webhooks/{left}/disable")).status == 200
    async with clients.producer() as producer:
        for _ in range(5):
            moment = round(datetime.now(UTC).timestamp() * 1000)
            command = disable_command(gone, "the target answered 410 Gone", moment)
            await producer.send_and_wait(topics.commands, command, key=gone.encode())
    await eventually(lambda: _is_told(clients, topics, 1))
    assert (await api("GET", f"/webhooks/{gone}")).body["disabled_reason"] == "the target answered 410 Gone"

    await api("POST", f"/webhooks/{gone}/enable")
    async with clients.producer() as producer:
        moment = round(datetime.now(UTC).timestamp() * 1000)
        await producer.send_and_wait(topics.commands, disable_command(gone, "gone again", moment), key=gone.encode())
    await eventually(lambda: _is_told(clients, topics, 2))
    told = await notices(clients, topics)
    assert [each["data"]["reason"] for each in told] == ["the target answered 410 Gone", "gone again"]
    assert {each["data"]["webhook_id"] for each in told} == {gone}
    assert len({each["id"] for each in told}) == 2


async def test_a_portal_tells_what_another_left_untold(
    settings: Settings,
    clients: KafkaClients,
    topics: Topics,
    follower: ConfigFollower,
    store: WebhookStore,
    clickhouse: ClickHouse,
) -> None:
    def disabled(id: str, reason: str, **others: Any) -> Webhook:
        about = {"status": "disabled", "disabled_reason": reason, "updated_by": DISPATCHER, "updated_on": NOW, **others}
        return a_webhook(id, **about)

    for id in ("wh-1", "wh-2"):
        await store.create(a_webhook(id))
    vault = vault_of(settings)
    async with clients.producer(enable_idempotence=True) as producer:
        for webhook, place in (
            (disabled("wh-1", "won"), Place("wh-1", 2, 1)),
            (disabled("wh-1", "lost"), Place("wh-1", 2, 1)),
            (disabled("wh-1", "won"), Place("wh-1", 2, 2)),
            # An edit that was taken back: the webhook is what the dispatcher made it.
            (disabled("wh-1", "won", updated_by={"id": "u-1", "name": "Ada"}), Place("wh-1", 3, 2)),
            (disabled("wh-1", "won"), Place("wh-1", 4, 3)),
            (disabled("wh-2", "by a person", updated_by={"id": "u-1", "name": "Ada"}), Place("wh-2", 2, 1)),
            (a_webhook("wh-2", updated_by=DISPATCHER), Place("wh-2", 3, 2)),
            (None, Place("wh-2", 4, 3)),
        ):
            value = write_webhook(webhook, vault)
            await producer.send_and_wait(topics.config, value, place.key, headers=place.headers())
        await producer.send_and_wait(topics.config, b"nonsense", b"wh-3", headers=Place("wh-3", 1, 0).headers())
        await producer.send_and_wait(topics.config, b"nonsense", b"wh-3")

    for told in (2, 3):
        portal = Portal(settings, clients, topics, follower, vault, clickhouse)
        await portal.start()
        try:
            await eventually(lambda count=told: _is_told(clients, topics, count))  # type: ignore[misc]
        finally:
            await portal.stop()
        # A portal that starts goes on where the one before ended.
        if told == 2:
            await store.create(disabled("wh-4", "told by the next"))
    told_of = [(each["id"], each["data"]["reason"]) for each in await notices(clients, topics)]
    assert [reason for _, reason in dict(told_of).items()] == ["won", "told by the next"]
    assert len(told_of) == 3
