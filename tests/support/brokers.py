"""The Kafka that tests run on: one that runs already, a container where Docker runs, or the embedded broker."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dispatcher.kafka.clients import MAX_REQUEST_BYTES
from dispatcher.kafka.embedded import EmbeddedKafka

RUNNING_ALREADY = os.environ.get("DISPATCHER_TEST_KAFKA")
"""Bootstrap servers of a cluster to test on; read before tests are given an environment of their own."""

_IMAGE = "confluentinc/cp-kafka:7.9.2"


@contextmanager
def a_kafka(directory: Path) -> Iterator[str]:
    """The bootstrap servers of a Kafka for a session of tests."""
    if RUNNING_ALREADY:
        yield RUNNING_ALREADY
    elif _docker_runs():
        with _container() as servers:
            yield servers
    else:
        with _embedded(directory) as servers:
            yield servers


@contextmanager
def _embedded(directory: Path) -> Iterator[str]:
    broker = EmbeddedKafka(directory)
    servers = asyncio.run(broker.start())
    try:
        yield servers
    finally:
        asyncio.run(broker.stop())


def _docker_runs() -> bool:
    # In a process of its own: where Docker does not answer, its client leaves a socket open, which is a warning.
    asking = [sys.executable, "-c", "import docker; docker.from_env(timeout=5).ping()"]
    return subprocess.run(asking, capture_output=True, check=False).returncode == 0


@contextmanager
def _container() -> Iterator[str]:
    from testcontainers.community.kafka import KafkaContainer  # noqa: PLC0415  # takes a second to import

    container = KafkaContainer(_IMAGE).with_kraft()
    for name, value in {
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_MESSAGE_MAX_BYTES": str(MAX_REQUEST_BYTES),
        "KAFKA_REPLICA_FETCH_MAX_BYTES": str(MAX_REQUEST_BYTES),
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    }.items():
        container.with_env(name, value)
    with container as kafka:
        yield kafka.get_bootstrap_server()
