"""Fixtures for every test: settings of its own, a real Kafka, topics under a prefix of its own."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics, load_topics
from dispatcher.settings import PREFIX, Settings, load_settings
from tests.support.brokers import a_kafka
from tests.support.kafka import FAST_SCHEDULE, MakeTopics, create_topics, delete_topics, write_topics_file

# How long one example takes is the machine's affair.
hypothesis.settings.register_profile("whatever else the machine does", deadline=None)
hypothesis.settings.load_profile("whatever else the machine does")


@pytest.fixture(autouse=True)
def _environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's environment and ``.env`` have no part in a test."""
    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "env_file", None)


@pytest.fixture(scope="session")
def kafka_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers: ``DISPATCHER_TEST_KAFKA`` where set, a container where Docker runs, the embedded broker."""
    with a_kafka(tmp_path_factory.mktemp("kafka")) as servers:
        yield servers


@pytest.fixture
def settings(kafka_servers: str, tmp_path: Path) -> Settings:
    """For a Kafka that runs, with a prefix and a data directory of the test's own, and every secret set."""
    return load_settings(
        kafka_bootstrap_servers=kafka_servers,
        kafka_prefix=f"t{secrets.token_hex(4)}.",
        data_dir=tmp_path / "data",
        topics_file=write_topics_file(tmp_path / "topics.yaml"),
        http_port=0,
        clickhouse_http_port=0,
        auth_secret=SecretStr(secrets.token_urlsafe(48)),
        encryption_key=SecretStr(Fernet.generate_key().decode()),
    )


@pytest.fixture
def clients(settings: Settings) -> KafkaClients:
    """Clients of the test's Kafka."""
    return KafkaClients(settings)


@pytest.fixture
async def make_topics(settings: Settings, clients: KafkaClients) -> AsyncIterator[MakeTopics]:
    """Makes topics with another schedule or other numbers of partitions than ``topics`` has; once in a test."""
    made: list[Topics] = []

    async def make(schedule: tuple[str, ...] = FAST_SCHEDULE, partitions: int = 3, event_partitions: int = 2) -> Topics:
        file = write_topics_file(settings.topics_file, schedule, partitions, event_partitions)
        topics = load_topics(file, settings.kafka_prefix)
        await create_topics(clients, topics)
        made.append(topics)
        return topics

    yield make
    for topics in made:
        await delete_topics(clients, topics)


@pytest.fixture
async def topics(make_topics: MakeTopics) -> Topics:
    """The repo's topics under the test's prefix, with attempts after 0, 1 and 2 s and three delivery partitions."""
    return await make_topics()
