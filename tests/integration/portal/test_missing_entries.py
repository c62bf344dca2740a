"""Changes whose writer died before it wrote their entries of the audit."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from cryptography.fernet import Fernet

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.portal import missing_entries
from dispatcher.portal.audit import AuditEntry, AuditRecord, read_audit_record
from dispatcher.settings import Settings
from dispatcher.webhooks.change import Place, entry_header, write_webhook
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.vault import Vault
from dispatcher.webhooks.webhook import Person, Webhook
from tests.support.kafka import consume_all
from tests.support.portal import Api, NewPortal, vault_of
from tests.support.waiting import eventually
from tests.support.webhooks import a_webhook

NOW = datetime.now(UTC)


def an_entry(id: str, webhook_id: str, time: datetime = NOW) -> bytes:
    entry = AuditEntry(id=id, time=time, by=Person(id="u-1", name="Ada"), action="updated")
    return AuditRecord(
        v=1, organization_id="org-contoso", webhook_id=webhook_id, webhook_name="Tickets", entry=entry
    ).encode()


class Writer:
    """A portal that writes changes and dies before it writes anything else."""

    def __init__(self, producer: AIOKafkaProducer, topics: Topics, vault: Vault) -> None:
        self._producer = producer
        self._topics = topics
        self._vault = vault

    async def change(
        self, webhook: Webhook | None, place: Place, entry: bytes | None = None, *, vault: Vault | None = None
    ) -> None:
        headers = place.headers() if entry is None else [*place.headers(), *entry_header(entry, vault or self._vault)]
        value = write_webhook(webhook, self._vault)
        await self._producer.send_and_wait(self._topics.config, value, place.key, headers=headers)

    async def tell(self, webhook_id: str, entry: bytes) -> None:
        await self._producer.send_and_wait(self._topics.audit, entry, webhook_id.encode(), partition=0)


@pytest.fixture
async def writer(settings: Settings, clients: KafkaClients, topics: Topics) -> AsyncIterator[Writer]:
    async with clients.producer(enable_idempotence=True) as producer:
        yield Writer(producer, topics, vault_of(settings))


async def entries(clients: KafkaClients, topics: Topics) -> list[str]:
    return [read_audit_record(record.value).entry.id for record in await consume_all(clients, topics.audit)]


async def test_each_change_that_counts_gets_its_entry_once(
    writer: Writer,
    new_portal: NewPortal,
    follower: ConfigFollower,
    clients: KafkaClients,
    topics: Topics,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(missing_entries, "PATIENCE", timedelta())
    change, same = writer.change, "https://example.com/same"
    await change(a_webhook("wh-1", target_url=same), Place("wh-1", 1, 0), an_entry("created", "wh-1"))
    await change(a_webhook("wh-1", name="a"), Place("wh-1", 2, 1), an_entry("won", "wh-1"))
    await change(a_webhook("wh-1", name="b"), Place("wh-1", 2, 1), an_entry("lost", "wh-1"))
    await change(a_webhook("wh-1", name="a"), Place("wh-1", 2, 2))
    await change(a_webhook("wh-1", name="by an earlier version"), Place("wh-1", 3, 2))
    await change(a_webhook("wh-1", name="c"), Place("wh-1", 4, 3), an_entry("told", "wh-1"))
    await writer.tell("wh-1", an_entry("told", "wh-1"))
    await change(a_webhook("wh-2", target_url=same), Place("wh-2", 1, 0), an_entry("taken back", "wh-2"))
    await change(None, Place("wh-2", 2, 1, withdraws=1))
    await change(None, Place("wh-1", 5, 4), an_entry("deleted", "wh-1"))
    ancient = an_entry("ancient", "wh-3", NOW - timedelta(days=30))
    await change(a_webhook("wh-3"), Place("wh-3", 1, 0), ancient)
    stranger = Vault(Fernet.generate_key().decode())
    await change(a_webhook("wh-3"), Place("wh-3", 2, 1), an_entry("undecipherable", "wh-3"), vault=stranger)
    await change(a_webhook("wh-3"), Place("wh-3", 3, 2), b'{"v": 2}')
    # The group goes through the changes in the log's order: after this one it has judged all that were before.
    await change(a_webhook("wh-3"), Place("wh-3", 4, 3), an_entry("last", "wh-3"))

    expected = ["told", "created", "won", "deleted", "last"]
    async with new_portal():
        await eventually(partial(_has, clients, topics, "last"), timeout=30)
    assert await entries(clients, topics) == expected

    await follower.catch_up()
    await change(None, Place("wh-3", 5, 4), an_entry("of the next", "wh-3"))
    async with new_portal():
        await eventually(partial(_has, clients, topics, "of the next"), timeout=30)
    assert await entries(clients, topics) == [*expected, "of the next"]


async def test_who_is_about_to_write_is_waited_for(
    api: Api, writer: Writer, clients: KafkaClients, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing_entries, "PATIENCE", timedelta(seconds=60))
    created = await api.create()
    webhook, path = a_webhook(created["id"]), f"/webhooks/{created['id']}"
    for revision in (2, 3):
        await writer.change(webhook, Place(webhook.id, revision, revision - 1), an_entry(f"of {revision}", webhook.id))
    assert (await api("POST", f"{path}/disable")).status == 200
    for revision in (2, 3):
        await writer.tell(webhook.id, an_entry(f"of {revision}", webhook.id))
    # Nobody writes the entry of this one but the group, which has judged the others before.
    monkeypatch.setattr(missing_entries, "PATIENCE", timedelta())
    await writer.change(webhook, Place(webhook.id, 5, 4), an_entry("last", webhook.id))
    await eventually(partial(_has, clients, topics, "last"), timeout=30)

    written = await entries(clients, topics)
    shown: list[dict[str, Any]] = (await api("GET", f"{path}/audit")).body["items"]
    assert len(written) == len(set(written)) == len(shown) == 5
    assert {entry["id"] for entry in shown} == set(written)


async def _has(clients: KafkaClients, topics: Topics, id: str) -> bool:
    return id in await entries(clients, topics)
