"""A portal on a real Kafka and ClickHouse, and somebody who asks it."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.portal.app import Portal
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.settings import Settings
from dispatcher.webhooks.follower import ConfigFollower
from tests.support.clickhouse import an_empty_store
from tests.support.portal import Api, NewPortal, a_token, vault_of


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "allowed_target_networks": Settings(allowed_target_networks="127.0.0.0/8").allowed_target_networks,
            "request_timeout": timedelta(seconds=3),
        }
    )


@pytest.fixture
async def clickhouse(clickhouse_url: str, unused_databases: dict[str, list[str]]) -> AsyncIterator[ClickHouse]:
    async with an_empty_store(clickhouse_url, unused_databases[clickhouse_url]) as store:
        yield store


@pytest.fixture
async def follower(settings: Settings, clients: KafkaClients, topics: Topics) -> AsyncIterator[ConfigFollower]:
    follower = ConfigFollower(clients, topics, vault_of(settings))
    await follower.start()
    yield follower
    await follower.stop()


@pytest.fixture
def monotonic() -> Callable[[], float]:
    """The seconds that portals count."""
    return time.monotonic


@pytest.fixture
def new_portal(
    settings: Settings,
    clients: KafkaClients,
    topics: Topics,
    follower: ConfigFollower,
    clickhouse: ClickHouse,
    monotonic: Callable[[], float],
) -> NewPortal:
    """Starts a portal, beside others or after them."""

    @asynccontextmanager
    async def running() -> AsyncIterator[Portal]:
        portal = Portal(settings, clients, topics, follower, vault_of(settings), clickhouse, monotonic=monotonic)
        await portal.start()
        try:
            yield portal
        finally:
            await portal.stop()

    return running


@pytest.fixture
async def portal(new_portal: NewPortal) -> AsyncIterator[Portal]:
    async with new_portal() as portal:
        yield portal


@pytest.fixture
async def api(portal: Portal, settings: Settings) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession(base_url=portal.url) as session:
        yield Api(session, a_token(settings))
