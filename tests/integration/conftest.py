"""What tests of several packages need."""

from collections.abc import Iterator

import chdb
import pytest


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an embedded engine, held while the module's tests run: chDB has one path at a time in a process."""
    path = tmp_path_factory.mktemp("clickhouse").resolve()
    held = chdb.connect(str(path))
    yield f"chdb://{path}"
    held.close()
