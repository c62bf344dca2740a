from pathlib import Path

import pytest

from dispatcher.errors import ConfigurationError
from dispatcher.recording.clickhouse import ClickHouseUrl


@pytest.mark.parametrize("url", ["chdb:////data/clickhouse", "chdb:///data/clickhouse"])
def test_a_directory_for_the_embedded_engine(url: str) -> None:
    parsed = ClickHouseUrl.parse(url)
    assert parsed.embedded
    assert parsed.path == Path("/data/clickhouse")
    assert parsed.database == "webhooks"


def test_a_server_with_everything() -> None:
    parsed = ClickHouseUrl.parse("https://us%40er:p%2Fw@ch.example:9443/analytics")
    assert parsed.connection == {
        "host": "ch.example",
        "port": 9443,
        "secure": True,
        "username": "us@er",
        "password": "p/w",
    }
    assert parsed.database == "analytics"
    assert "p/w" not in parsed.shown
    assert not parsed.embedded


@pytest.mark.parametrize(("url", "port"), [("http://ch", 8123), ("https://ch/", 8443)])
def test_defaults_of_a_server(url: str, port: int) -> None:
    parsed = ClickHouseUrl.parse(url)
    assert (parsed.connection["port"], parsed.connection["username"], parsed.database) == (port, "default", "webhooks")


@pytest.mark.parametrize("url", ["", "chdb:///", "chdb://", "tcp://ch:9000", "http://", "http://ch:port/", "ch:8123"])
def test_anything_else_is_one_clear_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match="DISPATCHER_CLICKHOUSE_URL"):
        ClickHouseUrl.parse(url)
