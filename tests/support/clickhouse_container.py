"""A real ClickHouse server in a container: of the version, here as everywhere, that deploy/compose.yaml runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.support.docker import docker_runs

_COMPOSE = Path(__file__).resolve().parents[2] / "deploy" / "compose.yaml"
IMAGE: str = yaml.safe_load(_COMPOSE.read_text(encoding="utf-8"))["services"]["clickhouse"]["image"]


@contextmanager
def a_clickhouse_container() -> Iterator[str]:
    """The URL of a server, without a database. Skips the test where no container can be started."""
    if not docker_runs():
        pytest.skip("needs a running Docker: start it, and the tests ask a real ClickHouse server too")
    from testcontainers.community.clickhouse import ClickHouseContainer  # noqa: PLC0415  # takes a second to import

    container = ClickHouseContainer(IMAGE)
    try:
        container.start()
    except Exception as error:  # noqa: BLE001  # of Docker's client, of its HTTP client, of testcontainers
        pytest.skip(f"no {IMAGE} in a container: {error}")
    try:
        host, port = container.get_container_host_ip(), container.get_exposed_port(8123)
        yield f"http://{container.username}:{container.password}@{host}:{port}"
    finally:
        container.stop()
