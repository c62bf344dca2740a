from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from dispatcher.kafka.clients import KafkaClients
from dispatcher.settings import Settings
from dispatcher.webhooks.vault import Vault


@pytest.fixture
def vault(settings: Settings) -> Vault:
    assert settings.encryption_key is not None
    return Vault(settings.encryption_key.get_secret_value())


@pytest.fixture
async def producer(clients: KafkaClients) -> AsyncIterator[AIOKafkaProducer]:
    producer = clients.producer(enable_idempotence=True)
    await producer.start()
    yield producer
    await producer.stop()
