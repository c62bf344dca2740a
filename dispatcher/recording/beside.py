"""ClickHouse for commands beside the roles: the configured server, a running ``up`` through its port, or its files."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from dispatcher.errors import ClickHouseUnavailable
from dispatcher.recording.clickhouse import ClickHouse, QueryFailed
from dispatcher.settings import Settings

HOST = "127.0.0.1"
"""Where a running ``up`` answers: only this machine asks."""


class NothingStored(ClickHouseUnavailable):
    """There is no embedded engine's data yet: nothing has been recorded here."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A connection, and how it came about."""

    clickhouse: ClickHouse
    way: str
    writable: bool


@asynccontextmanager
async def clickhouse_beside(settings: Settings, *, patience: int | None = None) -> AsyncIterator[Beside]:
    """Ask where the settings say; the embedded engine, which one process holds, through the port of that process.

    ``patience`` is how many seconds a statement may take, if not as many as those of roles.

    Raises:
        ClickHouseUnavailable: nothing answers, or another process holds the engine and has no port.
        NothingStored: nothing was ever stored in the embedded engine; it is not created for asking.
    """
    found = await _open(settings, patience)
    try:
        yield found
    finally:
        await found.clickhouse.close()


async def _open(settings: Settings, patience: int | None) -> Beside:
    configured = ClickHouse(settings.clickhouse, cluster=settings.clickhouse_cluster, patience=patience)
    path = configured.url.path
    if path is None:
        return Beside(configured, f"the server {configured.url.shown}", writable=True)
    port = settings.clickhouse_http_port
    if port:
        of_up = ClickHouse(f"http://{HOST}:{port}/{configured.database}", patience=patience)
        if await _holds(of_up, path):
            return Beside(of_up, f"a running `dispatcher up`, through {HOST}:{port}", writable=False)
        await of_up.close()
    if not path.exists():
        raise NothingStored(f"nothing has been stored at {configured.url.shown} yet: start `dispatcher up`")
    return Beside(configured, f"the files at {configured.url.shown}", writable=True)


async def _holds(clickhouse: ClickHouse, path: Path) -> bool:
    """Whether who answers has the engine of this path: another ClickHouse may have the port."""
    try:
        rows = await clickhouse.query("SELECT path FROM system.disks WHERE name = 'default'")
    except (ClickHouseUnavailable, QueryFailed):
        return False
    return any(_same(Path(row["path"]), path) for row in rows)


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
