"""A ClickHouse over HTTP that has the sample of docs/querying.md."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.schema import migrate
from tests.support.clickhouse_server import ClickHouseServer, a_clickhouse_server
from tools.sample_deliveries import insert_sample, last_midnight


@pytest.fixture(scope="package")
def sample_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """Filled once: whoever asks changes nothing."""
    with a_clickhouse_server(Path(tmp_path_factory.mktemp("clickhouse")).resolve()) as server:
        asyncio.run(_fill(server))
        yield server


async def _fill(server: ClickHouseServer) -> None:
    await server.ready()
    clickhouse = ClickHouse(server.url)
    try:
        await migrate(clickhouse)
        await insert_sample(clickhouse, await last_midnight(clickhouse))
    finally:
        await clickhouse.close()


@pytest.fixture
async def sample(sample_server: ClickHouseServer) -> AsyncIterator[ClickHouse]:
    clickhouse = ClickHouse(sample_server.url)
    yield clickhouse
    await clickhouse.close()
