"""Fixtures for tests of delivery: targets on loopback may be called."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.settings import Settings
from tests.support.delivering import Delivering
from tests.support.target import Target, a_target


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "allowed_target_networks": Settings(allowed_target_networks="127.0.0.0/8").allowed_target_networks,
        }
    )


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with a_target() as target:
        yield target


@pytest.fixture
async def delivering(settings: Settings, clients: KafkaClients, topics: Topics) -> AsyncIterator[Delivering]:
    async with AsyncExitStack() as stack:
        delivering = Delivering(settings, clients, topics, stack)
        await delivering.start()
        yield delivering
