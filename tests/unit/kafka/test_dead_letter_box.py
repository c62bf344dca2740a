from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest.mock import AsyncMock, Mock

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAuthorizationFailedError

from dispatcher.errors import DispatcherError, KafkaUnavailable, NotAllowed
from dispatcher.kafka import dead_letter_box
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.dead_letter_box import DeadLetterBox, Selection
from dispatcher.kafka.topics import load_topics
from dispatcher.settings import default_topics_file, load_settings


@pytest.mark.parametrize(
    ("error", "told"),
    [(TopicAuthorizationFailedError("webhooks.dead-letter"), NotAllowed), (KafkaConnectionError(), KafkaUnavailable)],
)
async def test_what_ends_the_reading_is_told(
    monkeypatch: pytest.MonkeyPatch, error: KafkaError, told: type[DispatcherError]
) -> None:
    topics = load_topics(default_topics_file())
    clients = KafkaClients(load_settings(kafka_bootstrap_servers="kafka.test:9092"))
    admin = Mock()
    admin.describe_topics = AsyncMock(return_value=[{"error_code": 0, "partitions": [{"partition": 0}]}])
    consumer = AsyncMock()
    consumer.assign = Mock()
    consumer.end_offsets.side_effect = lambda partitions: dict.fromkeys(partitions, 1)
    consumer.position.return_value = 0
    consumer.getmany.side_effect = error
    monkeypatch.setattr(clients, "consumer", lambda: consumer)

    @asynccontextmanager
    async def connected(_: KafkaClients) -> AsyncIterator[Mock]:
        yield admin

    monkeypatch.setattr(dead_letter_box, "connected", connected)
    with pytest.raises(told) as raised:
        await DeadLetterBox(clients, topics).letters(Selection())
    assert type(raised.value) is told
    consumer.stop.assert_awaited_once()
