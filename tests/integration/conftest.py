"""What tests of several packages need."""

from collections import defaultdict
from collections.abc import Iterator

import chdb
import pytest

from tests.support.clickhouse_container import a_clickhouse_container


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an embedded engine, held while the module's tests run: chDB has one path at a time in a process."""
    path = tmp_path_factory.mktemp("clickhouse").resolve()
    held = chdb.connect(str(path))
    yield f"chdb://{path}"
    held.close()


@pytest.fixture(scope="module")
def unused_databases() -> dict[str, list[str]]:
    """By the URL of their server: migrated, and left empty by tests of the module."""
    return defaultdict(list)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a ClickHouse server in a container; skips where there is none."""
    with a_clickhouse_container() as url:
        yield url


@pytest.fixture(scope="module")
def clickhouse_url(request: pytest.FixtureRequest) -> str:
    """The embedded engine's; in tests that are marked ``ON_A_SERVER_TOO``, that and a server's."""
    url: str = request.getfixturevalue(getattr(request, "param", "engine"))
    return url
