import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer
from cryptography.fernet import Fernet

from dispatcher.errors import ConfigurationError, KafkaUnavailable
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.compacted import NoLongerFollowing
from dispatcher.kafka.topics import Topics, load_topics
from dispatcher.settings import Settings
from dispatcher.webhooks.change import Place, write_webhook
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.vault import Vault
from dispatcher.webhooks.webhook import Webhook
from tests.support.waiting import eventually
from tests.support.webhooks import a_webhook


class Config:
    """Writes to the topic whatever a test wants there."""

    def __init__(self, producer: AIOKafkaProducer, topics: Topics, vault: Vault) -> None:
        self.producer = producer
        self.topic = topics.config
        self.vault = vault

    async def write(self, webhook: Webhook | None, place: Place) -> int:
        value = write_webhook(webhook, self.vault)
        sent = await self.producer.send_and_wait(self.topic, value, place.key, headers=place.headers())
        return int(sent.offset)


@pytest.fixture
def config(producer: AIOKafkaProducer, topics: Topics, vault: Vault) -> Config:
    return Config(producer, topics, vault)


@asynccontextmanager
async def following(clients: KafkaClients, topics: Topics, vault: Vault) -> AsyncIterator[ConfigFollower]:
    follower = ConfigFollower(clients, topics, vault)
    await follower.start()
    try:
        yield follower
    finally:
        await follower.stop()


async def test_knows_at_the_start_what_was_there_and_then_follows(
    clients: KafkaClients, topics: Topics, vault: Vault, config: Config
) -> None:
    for number in range(1, 251):
        await config.producer.send(
            config.topic,
            write_webhook(a_webhook(f"wh-{number}"), vault),
            b"wh-%d" % number,
            headers=Place(f"wh-{number}", 1, 0).headers(),
        )
    await config.write(None, Place("wh-2", 2, 1))
    async with following(clients, topics, vault) as follower:
        directory = follower.directory
        assert len(directory) == 249
        assert directory.next_offset == 251
        changes: list[tuple[str, Webhook | None]] = []
        unsubscribe = follower.subscribe(lambda id, webhook: changes.append((id, webhook)))
        offset = await config.write(a_webhook("wh-1", name="renamed"), Place("wh-1", 2, 1))
        await follower.reached(offset + 1)
        assert directory.get("wh-1") == a_webhook("wh-1", name="renamed")
        stale = await config.write(a_webhook("wh-2", name="late"), Place("wh-2", 2, 1))
        deleted = await config.write(None, Place("wh-1", 3, 2))
        await asyncio.gather(*(follower.reached(each) for each in (deleted + 1, stale, 0)))
        assert directory.ignored(stale)
        assert changes == [("wh-1", a_webhook("wh-1", name="renamed")), ("wh-1", None)]
        unsubscribe()
        await config.write(a_webhook("wh-300"), Place("wh-300", 1, 0))
        await follower.catch_up()
        assert directory.get("wh-300") == a_webhook("wh-300")
        assert len(changes) == 2


async def test_an_empty_topic_is_read_at_once(clients: KafkaClients, topics: Topics, vault: Vault) -> None:
    async with following(clients, topics, vault) as follower:
        assert len(follower.directory) == 0
        await follower.reached(0)
        await follower.catch_up()


async def test_survives_records_that_it_cannot_read(
    clients: KafkaClients, topics: Topics, vault: Vault, config: Config
) -> None:
    await config.write(a_webhook("wh-1"), Place("wh-1", 1, 0))
    stranger = Config(config.producer, topics, Vault(Fernet.generate_key().decode()))
    async with following(clients, topics, vault) as follower:
        await stranger.write(a_webhook("wh-1", name="unseen"), Place("wh-1", 2, 1))
        await stranger.write(a_webhook("wh-2"), Place("wh-2", 1, 0))
        await config.producer.send_and_wait(config.topic, b"garbage", b"wh-1")
        await config.producer.send_and_wait(config.topic, b"garbage", b"")
        await config.producer.send_and_wait(
            config.topic, vault.encrypt(b"{}"), b"wh-3", headers=Place("wh-3", 1, 0).headers()
        )
        await config.write(a_webhook("wh-4"), Place("wh-4", 1, 0))
        await follower.catch_up()
        assert follower.directory.get("wh-1") == a_webhook("wh-1")
        assert follower.directory.revision("wh-1") == 2
        assert follower.directory.get("wh-4") == a_webhook("wh-4")
        assert set(follower.directory.unreadable) == {"wh-1", "wh-2", "wh-3"}


async def test_whoever_waits_is_told_when_it_stops(clients: KafkaClients, topics: Topics, vault: Vault) -> None:
    async with following(clients, topics, vault) as follower:
        waiting = [asyncio.create_task(follower.reached(99)), asyncio.create_task(follower.wait())]
        abandoned = asyncio.create_task(follower.reached(98))
        await eventually(lambda: follower._topic._waiting)
        abandoned.cancel()
    with pytest.raises(NoLongerFollowing):
        await waiting[0]
    assert await waiting[1] is None  # type: ignore[func-returns-value]
    with pytest.raises(NoLongerFollowing):
        await follower.reached(99)
    with pytest.raises(NoLongerFollowing):
        await follower.catch_up()
    await follower.stop()


async def test_a_topic_that_does_not_exist_is_one_clear_error(
    clients: KafkaClients, settings: Settings, topics: Topics, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher.kafka.compacted._PATIENCE_SECONDS", 0.2)
    nowhere = load_topics(settings.topics_file, f"{settings.kafka_prefix}nowhere.")
    with pytest.raises(ConfigurationError, match=r"nowhere\.webhooks\.config does not exist.*topics apply"):
        await ConfigFollower(clients, nowhere, vault).start()


async def test_no_broker_is_one_clear_error(settings: Settings, topics: Topics, vault: Vault) -> None:
    with pytest.raises(KafkaUnavailable):
        await ConfigFollower(KafkaClients(settings, "127.0.0.1:1"), topics, vault).start()


async def test_what_a_reader_cannot_deal_with_ends_it(
    clients: KafkaClients, topics: Topics, vault: Vault, config: Config
) -> None:
    async with following(clients, topics, vault) as follower:

        def fail(id: str, webhook: Webhook | None) -> None:
            raise ZeroDivisionError

        follower.subscribe(fail)
        await config.write(a_webhook(), Place("wh-1", 1, 0))
        with pytest.raises(ZeroDivisionError):
            await follower.wait()
