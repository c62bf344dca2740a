"""The Kafka that tests run on: one that runs already, a container where Docker runs, or the embedded broker."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from dispatcher.kafka.clients import MAX_REQUEST_BYTES
from dispatcher.kafka.embedded import EmbeddedKafka
from tests.support.docker import docker_runs

RUNNING_ALREADY = os.environ.get("DISPATCHER_TEST_KAFKA")
"""Bootstrap servers of a cluster to test on; read before tests are given an environment of their own."""

_IMAGE = "confluentinc/cp-kafka:7.9.2"
_CONTAINER_ENVIRONMENT = {
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_MESSAGE_MAX_BYTES": str(MAX_REQUEST_BYTES),
    "KAFKA_REPLICA_FETCH_MAX_BYTES": str(MAX_REQUEST_BYTES),
    "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
}


@contextmanager
def a_kafka(directory: Path) -> Iterator[str]:
    """The bootstrap servers of a Kafka for a session of tests."""
    if RUNNING_ALREADY:
        yield RUNNING_ALREADY
    else:
        container = _container() if docker_runs() else None
        with _embedded(directory) if container is None else container as servers:
            yield servers


@contextmanager
def _embedded(directory: Path) -> Iterator[str]:
    broker = EmbeddedKafka(directory)
    servers = asyncio.run(broker.start())
    try:
        yield servers
    finally:
        asyncio.run(broker.stop())


def _container() -> AbstractContextManager[str] | None:
    """A broker in a container; None where Docker runs and its image is not to be had."""
    from testcontainers.community.kafka import KafkaContainer  # noqa: PLC0415  # takes a second to import

    try:
        container = KafkaContainer(_IMAGE).with_kraft()
        for name, value in _CONTAINER_ENVIRONMENT.items():
            container.with_env(name, value)
        container.start(timeout=90)
    except Exception as error:  # noqa: BLE001  # of Docker's client, of its HTTP client, of testcontainers
        sys.stderr.write(f"no Kafka in a container ({error}): the tests run on the embedded broker\n")
        return None
    return _running(container)


@contextmanager
def _running(container: Any) -> Iterator[str]:
    try:
        yield container.get_bootstrap_server()
    finally:
        container.stop()
