"""Every ClickHouse that can be reached: the embedded engine, the HTTP client against its port, a real server."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.schema import migrate
from tests.support.clickhouse import a_database, port_in_front_of


@asynccontextmanager
async def migrated(url: str) -> AsyncIterator[ClickHouse]:
    """A database that nobody else uses."""
    store = ClickHouse(url, database=a_database())
    try:
        await migrate(store)
        yield store
    finally:
        await store.close()


@pytest.fixture
async def embedded(engine: str) -> AsyncIterator[ClickHouse]:
    """The embedded engine."""
    async with migrated(engine) as store:
        yield store


@pytest.fixture(params=["embedded", "http", "server"])
async def clickhouse(request: pytest.FixtureRequest) -> AsyncIterator[ClickHouse]:
    """A migrated database in each of the stores."""
    async with AsyncExitStack() as stack:
        if request.param == "http":
            port = await stack.enter_async_context(port_in_front_of(request.getfixturevalue("engine")))
            url = f"http://127.0.0.1:{port.port}"
        else:
            url = request.getfixturevalue("server" if request.param == "server" else "engine")
        yield await stack.enter_async_context(migrated(url))
