"""Every ClickHouse that can be reached: the embedded engine, the HTTP client against its port, a real server."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from dispatcher.recording.clickhouse import ClickHouse
from tests.support.clickhouse import an_empty_store, port_in_front_of


@pytest.fixture
async def embedded(engine: str, unused_databases: dict[str, list[str]]) -> AsyncIterator[ClickHouse]:
    """The embedded engine."""
    async with an_empty_store(engine, unused_databases[engine]) as store:
        yield store


@pytest.fixture(params=["embedded", "http", "server"])
async def clickhouse(
    request: pytest.FixtureRequest, unused_databases: dict[str, list[str]]
) -> AsyncIterator[ClickHouse]:
    """A migrated database in each of the stores."""
    async with AsyncExitStack() as stack:
        server = url = request.getfixturevalue("server" if request.param == "server" else "engine")
        if request.param == "http":
            port = await stack.enter_async_context(port_in_front_of(server))
            url = f"http://127.0.0.1:{port.port}"
        yield await stack.enter_async_context(an_empty_store(url, unused_databases[server]))
