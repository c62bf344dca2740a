"""Two portals at once on one topic, and whoever reads it afterwards."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from aiokafka import AIOKafkaProducer
from cryptography.fernet import Fernet

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.webhooks.change import Place, write_webhook
from dispatcher.webhooks.directory import Directory
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.store import SameConfiguration, StaleRevision, WebhookStore
from dispatcher.webhooks.vault import UndecipherableConfig, Vault
from dispatcher.webhooks.webhook import Webhook
from tests.support.kafka import consume_all
from tests.support.webhooks import a_webhook

SAME = "https://example.com/same"


@dataclass
class Portal:
    store: WebhookStore
    follower: ConfigFollower

    @property
    def directory(self) -> Directory:
        return self.follower.directory


NewPortal = Callable[..., Awaitable[Portal]]


@pytest.fixture
async def new_portal(clients: KafkaClients, topics: Topics, vault: Vault) -> AsyncIterator[NewPortal]:
    async with AsyncExitStack() as started:

        async def new(vault: Vault = vault) -> Portal:
            producer = clients.producer(enable_idempotence=True)
            await producer.start()
            started.push_async_callback(producer.stop)
            follower = ConfigFollower(clients, topics, vault)
            await follower.start()
            started.push_async_callback(follower.stop)
            return Portal(WebhookStore(producer, topics, vault, follower), follower)

        yield new


@pytest.fixture
async def portals(new_portal: NewPortal) -> tuple[Portal, Portal]:
    return await new_portal(), await new_portal()


def split(results: Iterable[Webhook | BaseException | None]) -> tuple[list[Webhook | None], list[BaseException]]:
    errors = [result for result in results if isinstance(result, BaseException)]
    return [result for result in results if not isinstance(result, BaseException)], errors


async def agree(new_portal: NewPortal, *portals: Portal) -> Directory:
    """What everybody has come to, a reader that starts now and one that starts after compaction included."""
    fresh = (await new_portal()).directory
    for portal in portals:
        await portal.follower.catch_up()
    for directory in (portal.directory for portal in portals):
        assert not directory.unsettled
        assert directory.of_organization("org-contoso") == fresh.of_organization("org-contoso")
        for webhook in fresh.of_organization("org-contoso"):
            assert directory.revision(webhook.id) == fresh.revision(webhook.id)
    return fresh


async def compacted(clients: KafkaClients, topics: Topics, vault: Vault) -> list[str]:
    """The ids of the webhooks that the last record of each key speaks of."""
    last = {record.key: record.value for record in await consume_all(clients, topics.config)}
    return sorted(key.decode() for key, value in last.items() if value is not None)


async def test_creates_replaces_and_deletes(new_portal: NewPortal, portals: tuple[Portal, Portal]) -> None:
    one, other = portals
    created = await one.store.create(a_webhook())
    assert one.directory.get("wh-1") == created
    renamed = await one.store.replace(a_webhook(name="renamed"), 1)
    # The other portal may not have read so far: it catches up instead of refusing.
    moved = await other.store.replace(renamed.model_copy(update={"target_url": "https://example.com/moved"}), 2)
    assert (await agree(new_portal, *portals)).get("wh-1") == moved
    await other.store.delete("wh-1", 3)
    assert (await agree(new_portal, *portals)).get("wh-1") is None


async def test_of_two_equal_webhooks_created_at_once_one_wins(
    new_portal: NewPortal, portals: tuple[Portal, Portal], clients: KafkaClients, topics: Topics, vault: Vault
) -> None:
    one, other = portals
    won, lost = split(
        await asyncio.gather(
            one.store.create(a_webhook("wh-1", target_url=SAME)),
            other.store.create(a_webhook("wh-2", target_url=SAME)),
            return_exceptions=True,
        )
    )
    assert len(won) == 1
    assert isinstance(lost[0], SameConfiguration)
    assert lost[0].other == won[0]
    fresh = await agree(new_portal, *portals)
    assert fresh.of_organization("org-contoso") == won
    winners = [webhook.id for webhook in won if webhook]
    assert await compacted(clients, topics, vault) == winners
    assert [id for id in ("wh-1", "wh-2") if not fresh.withdrawn(id, 1)] == winners


async def test_an_equal_webhook_is_refused_before_it_is_written(portals: tuple[Portal, Portal]) -> None:
    store = portals[0].store
    first = await store.create(a_webhook("wh-1", target_url=SAME))
    second = await store.create(a_webhook("wh-2"))
    written = portals[0].directory.next_offset
    with pytest.raises(SameConfiguration, match="wh-1") as caught:
        await store.create(a_webhook("wh-3", target_url=SAME, name="other"))
    assert caught.value.other == first
    with pytest.raises(SameConfiguration):
        await store.replace(second.model_copy(update={"target_url": SAME}), 1)
    assert portals[0].directory.next_offset == written
    assert await store.create(a_webhook("wh-4", target_url=SAME, organization_id="org-other"))
    assert await store.replace(first.model_copy(update={"status": "disabled"}), 1)


async def test_two_edits_to_one_configuration_leave_one(new_portal: NewPortal, portals: tuple[Portal, Portal]) -> None:
    one, other = portals
    before = {id: await one.store.create(a_webhook(id)) for id in ("wh-1", "wh-2")}
    await other.follower.catch_up()
    won, lost = split(
        await asyncio.gather(
            one.store.replace(a_webhook("wh-1", target_url=SAME, name="new"), 1),
            other.store.replace(a_webhook("wh-2", target_url=SAME, name="new"), 1),
            return_exceptions=True,
        )
    )
    assert [type(error) for error in lost] == [SameConfiguration]
    fresh = await agree(new_portal, *portals)
    [winner] = [webhook for webhook in won if webhook]
    [loser] = {"wh-1", "wh-2"} - {winner.id}
    assert fresh.get(winner.id) == winner
    assert fresh.get(loser) == before[loser]


async def test_of_two_edits_at_once_one_wins(
    new_portal: NewPortal, portals: tuple[Portal, Portal], clients: KafkaClients, topics: Topics, vault: Vault
) -> None:
    one, other = portals
    await one.store.create(a_webhook())
    await other.follower.catch_up()
    won, lost = split(
        await asyncio.gather(
            *(portal.store.replace(a_webhook(name=name), 1) for portal, name in zip(portals, "ab", strict=True)),
            return_exceptions=True,
        )
    )
    assert len(won) == 1
    assert isinstance(lost[0], StaleRevision)
    assert (lost[0].revision, lost[0].current) == (2, won[0])
    assert (await agree(new_portal, *portals)).get("wh-1") == won[0]
    # The winner's revision has not moved: its next edit is not refused.
    await one.store.replace(a_webhook(name="next"), 2)


async def test_many_edits_at_once_have_one_winner_a_revision(
    new_portal: NewPortal, portals: tuple[Portal, Portal]
) -> None:
    await portals[0].store.create(a_webhook())
    await portals[1].follower.catch_up()
    for revision in range(1, 6):
        for portal in portals:
            await portal.follower.catch_up()
        edits = [
            portal.store.replace(a_webhook(name=f"{number}"), revision) for number in range(5) for portal in portals
        ]
        won, lost = split(await asyncio.gather(*edits, return_exceptions=True))
        assert len(won) == 1
        assert {type(error) for error in lost} == {StaleRevision}
        fresh = await agree(new_portal, *portals)
        assert fresh.get("wh-1") == won[0]
        assert fresh.revision("wh-1") == revision + 1


async def test_a_deletion_against_an_edit_resurrects_nothing(
    new_portal: NewPortal, portals: tuple[Portal, Portal], clients: KafkaClients, topics: Topics, vault: Vault
) -> None:
    one, other = portals
    for number in range(6):
        id = f"wh-{number}"
        await one.store.create(a_webhook(id))
        await other.follower.catch_up()
        attempts = [one.store.delete(id, 1), other.store.replace(a_webhook(id, name="edited"), 1)]
        results = await asyncio.gather(*(attempts if number % 2 else attempts[::-1]), return_exceptions=True)
        won, lost = split(results)
        assert len(won) == 1
        assert [type(error) for error in lost] == [StaleRevision]
        fresh = await agree(new_portal, *portals)
        assert fresh.get(id) == won[0]
        with pytest.raises(StaleRevision):
            await one.store.replace(a_webhook(id, name="late"), 1)
    fresh = await agree(new_portal, *portals)
    assert await compacted(clients, topics, vault) == [each.id for each in fresh.of_organization("org-contoso")]


async def test_repairs_what_a_dead_writer_left_behind(
    new_portal: NewPortal,
    portals: tuple[Portal, Portal],
    clients: KafkaClients,
    topics: Topics,
    vault: Vault,
    producer: AIOKafkaProducer,
) -> None:
    one, other = portals
    await one.store.create(a_webhook("wh-1"))
    await one.store.delete("wh-1", 1)
    await one.store.create(a_webhook("wh-2"))
    kept = await one.store.replace(a_webhook("wh-2", name="kept"), 1)
    for id in ("wh-1", "wh-2"):
        late = Place(id, 2, 1)
        await producer.send_and_wait(
            topics.config, write_webhook(a_webhook(id, name="late"), vault), late.key, headers=late.headers()
        )
    for portal in portals:
        await portal.follower.catch_up()
    assert set(one.directory.unsettled) == {"wh-1", "wh-2"}
    assert await compacted(clients, topics, vault) == ["wh-1", "wh-2"]
    assert tuple(await asyncio.gather(one.store.repair(), other.store.repair())) == (2, 2)
    assert await compacted(clients, topics, vault) == ["wh-2"]
    fresh = await agree(new_portal, *portals)
    assert fresh.get("wh-2") == kept
    assert (fresh.revision("wh-1"), fresh.revision("wh-2")) == (2, 2)
    assert await one.store.repair() == 0


async def test_what_is_not_there_or_cannot_be_read_is_not_overwritten(
    portals: tuple[Portal, Portal], topics: Topics, producer: AIOKafkaProducer
) -> None:
    one = portals[0]
    with pytest.raises(StaleRevision) as caught:
        await one.store.replace(a_webhook(), 0)
    assert caught.value.current is None
    await one.store.create(a_webhook())
    with pytest.raises(StaleRevision):
        await one.store.create(a_webhook(target_url=SAME))
    await one.store.delete("wh-1", 1)
    with pytest.raises(StaleRevision):
        await one.store.delete("wh-1", 2)
    place = Place("wh-2", 1, 0)
    stranger = Vault(Fernet.generate_key().decode())
    await producer.send_and_wait(
        topics.config, write_webhook(a_webhook("wh-2"), stranger), place.key, headers=place.headers()
    )
    await one.follower.catch_up()
    with pytest.raises(UndecipherableConfig, match="DISPATCHER_ENCRYPTION_KEY"):
        await one.store.delete("wh-2", 1)


async def test_a_caller_that_goes_away_leaves_nothing_half_done(
    new_portal: NewPortal, portals: tuple[Portal, Portal]
) -> None:
    one, other = portals
    creating = asyncio.create_task(one.store.create(a_webhook("wh-1", target_url=SAME)))
    rival = asyncio.create_task(other.store.create(a_webhook("wh-2", target_url=SAME)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    creating.cancel()
    await asyncio.gather(creating, rival, return_exceptions=True)
    await asyncio.gather(*one.store._writing, return_exceptions=True)
    assert len((await agree(new_portal, *portals)).of_organization("org-contoso")) == 1


async def test_what_an_old_key_encrypted_is_encrypted_anew_and_stays_as_it_is(
    new_portal: NewPortal, clients: KafkaClients, topics: Topics
) -> None:
    first, second = (Fernet.generate_key().decode() for _ in range(2))
    one, other, new = Vault(f"{first},{second}"), Vault(f"{second},{first}"), Vault(second)
    before = await new_portal(one)
    kept = await before.store.create(a_webhook("wh-1", payload_template={"\ud83d": "#x"}))
    for id in ("wh-2", "wh-3"):
        await before.store.create(a_webhook(id, target_url=f"https://example.com/{id}"))
    await before.store.delete("wh-2", 1)
    after = await new_portal(other)
    assert before.follower.outdated == {}
    assert after.follower.outdated.keys() == {"wh-1", "wh-3"}

    # Somebody whose keys still stand in the old order changes a webhook at the same time.
    edited = a_webhook("wh-3", name="edited")
    counted, _ = await asyncio.gather(after.store.encrypt_anew(), before.store.replace(edited, 1))
    assert counted == 2
    await after.store.encrypt_anew()
    assert after.follower.outdated == {}
    assert await after.store.encrypt_anew() == 0

    fresh = (await new_portal(new)).directory
    await before.follower.catch_up()
    for directory in (before.directory, after.directory, fresh):
        assert not directory.unreadable
        assert not directory.unsettled
        assert [directory.get(id) for id in ("wh-1", "wh-2", "wh-3")] == [kept, None, edited]
        assert [directory.revision(id) for id in ("wh-1", "wh-2", "wh-3")] == [1, 2, 2]
    contents = [
        one.decrypt(record.value) for record in await consume_all(clients, topics.config) if record.key == b"wh-1"
    ]
    assert len(contents) == 2
    assert contents[0] == contents[1]
