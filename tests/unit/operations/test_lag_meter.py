"""What the lag meter says where Kafka answers and refuses, and where it does not answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError, TopicAuthorizationFailedError
from prometheus_client import REGISTRY

from dispatcher.errors import KafkaUnavailable, NotAllowed
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import load_topics
from dispatcher.operations import lag_meter
from dispatcher.operations.cluster_watch import ClusterWatch, forget
from dispatcher.operations.lag_meter import LagMeter
from dispatcher.settings import default_topics_file, load_settings
from tests.support.waiting import eventually

TOPICS = load_topics(default_topics_file(), "contoso.")


@pytest.fixture
def consumer() -> Mock:
    return Mock(start=AsyncMock(), stop=AsyncMock())


@pytest.fixture
def admin() -> Mock:
    return Mock(describe_topics=AsyncMock(return_value=[]))


@pytest.fixture
def clients(consumer: Mock, admin: Mock, monkeypatch: pytest.MonkeyPatch) -> KafkaClients:
    """Of a cluster that has none of our topics, and tells its time to nobody."""

    @asynccontextmanager
    async def connected(_: Any) -> AsyncIterator[Mock]:
        yield admin

    monkeypatch.setattr(lag_meter, "connected", connected)
    monkeypatch.setattr(lag_meter, "clock_difference", AsyncMock(return_value=None))
    clients = KafkaClients(load_settings(kafka_bootstrap_servers="kafka.test:9092"))
    monkeypatch.setattr(clients, "consumer", lambda **_: consumer)
    return clients


@pytest.mark.parametrize(
    ("error", "missing"),
    [
        (GroupAuthorizationFailedError("contoso.webhooks.sender"), "DESCRIBE on the groups contoso.webhooks.*"),
        (TopicAuthorizationFailedError("contoso.webhooks.parked"), "DESCRIBE and READ on all topics"),
    ],
)
async def test_a_refusal_names_the_acl(clients: KafkaClients, admin: Mock, error: Exception, missing: str) -> None:
    admin.committed = AsyncMock(side_effect=error)
    with pytest.raises(NotAllowed) as raised:
        await LagMeter(clients, TOPICS, seconds=0).measure()
    assert str(error) in str(raised.value)
    assert missing in str(raised.value)


async def test_no_answer_is_told_as_such(clients: KafkaClients, consumer: Mock) -> None:
    consumer.start.side_effect = KafkaConnectionError("nobody")
    with pytest.raises(KafkaUnavailable, match=r"kafka\.test:9092"):
        await LagMeter(clients, TOPICS, seconds=0).measure()
    consumer.stop.assert_awaited_once()


async def test_the_metrics_come_when_the_acl_does(clients: KafkaClients, admin: Mock) -> None:
    admin.committed = AsyncMock(side_effect=GroupAuthorizationFailedError("contoso.webhooks.sender"))
    admin.group = AsyncMock(return_value=("Empty", []))
    watch = ClusterWatch(clients, TOPICS, every=0)
    await watch.start()
    try:
        await eventually(lambda: admin.committed.await_count > 1, what="a second look")
        admin.committed = AsyncMock(return_value={})
        await eventually(
            lambda: REGISTRY.get_sample_value("dispatcher_group_members", {"group": "sender"}) == 0, what="metrics"
        )
    finally:
        await watch.stop()
        forget()
