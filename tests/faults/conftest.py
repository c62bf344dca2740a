"""Fixtures for faults: roles in processes, a ClickHouse server, targets on loopback, and the table at the end."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.settings import Settings
from tests.support.clickhouse import a_database
from tests.support.clickhouse_server import ClickHouseServer, a_clickhouse_server
from tests.support.fault_table import FILE, FaultTable
from tests.support.fleet import Fleet, a_fleet
from tests.support.tally import Tally, a_tally
from tests.support.traffic import Traffic

SEED = "FAULT_SEED"

_TABLE = pytest.StashKey[FaultTable]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if (made := config.stash.get(_TABLE, None)) is not None:
        terminalreporter.section("faults")
        terminalreporter.write_line(made.text())


@pytest.fixture(scope="session")
def _whole_table(pytestconfig: pytest.Config) -> Iterator[FaultTable]:
    made = pytestconfig.stash[_TABLE] = FaultTable()
    yield made
    made.write(FILE)


@pytest.fixture
def table(_whole_table: FaultTable, request: pytest.FixtureRequest) -> FaultTable:
    seeded = f"{SEED}={request.getfixturevalue('seed')} " if "seed" in request.fixturenames else ""
    _whole_table.command = f'{seeded}pytest -m "" -s "{request.node.nodeid}"'
    return _whole_table


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with a_clickhouse_server(tmp_path_factory.mktemp("clickhouse").resolve()) as server:
        yield server


@pytest.fixture
def settings(settings: Settings, clickhouse_server: ClickHouseServer) -> Settings:
    return settings.model_copy(
        update={
            "allowed_target_networks": Settings(allowed_target_networks="127.0.0.0/8").allowed_target_networks,
            "clickhouse_url": f"{clickhouse_server.url}/{a_database()}",
        }
    )


@pytest.fixture
def seed() -> int:
    """What the moments of faults follow from: rows show it, pytest does when a test fails, and it can be given."""
    chosen = int(os.environ.get(SEED) or secrets.randbelow(10_000))
    print(f"{SEED}={chosen}")
    return chosen


@pytest.fixture
async def tally() -> AsyncIterator[Tally]:
    async with a_tally() as tally:
        yield tally


@pytest.fixture
async def fleet(settings: Settings, tally: Tally, tmp_path: Path) -> AsyncIterator[Fleet]:
    del tally  # who calls ends before what is called
    async with a_fleet(settings, tmp_path) as fleet:
        yield fleet


@pytest.fixture
async def traffic(settings: Settings, clients: KafkaClients, topics: Topics, tally: Tally) -> AsyncIterator[Traffic]:
    async with Traffic(settings, clients, topics, tally) as traffic:
        yield traffic
