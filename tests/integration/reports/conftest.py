"""A ClickHouse over HTTP that has the sample of docs/querying.md."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.schema import migrate
from tests.support.clickhouse import a_database
from tests.support.clickhouse_server import a_clickhouse_server
from tools.sample_deliveries import insert_sample, last_midnight


@pytest.fixture(scope="package", params=["engine", "server"])
def sample_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The embedded engine's HTTP port, and a server where Docker runs. Filled once: whoever asks changes nothing."""
    if request.param == "server":
        url = f"{request.getfixturevalue('server')}/{a_database()}"
        asyncio.run(_fill(url))
        yield url
        return
    with a_clickhouse_server(Path(tmp_path_factory.mktemp("clickhouse")).resolve()) as server:
        asyncio.run(server.ready())
        asyncio.run(_fill(server.url))
        yield server.url


async def _fill(url: str) -> None:
    clickhouse = ClickHouse(url)
    try:
        await migrate(clickhouse)
        await insert_sample(clickhouse, await last_midnight(clickhouse))
    finally:
        await clickhouse.close()


@pytest.fixture
async def sample(sample_url: str) -> AsyncIterator[ClickHouse]:
    clickhouse = ClickHouse(sample_url)
    yield clickhouse
    await clickhouse.close()
