"""The schema in ClickHouse: numbered migrations, and which of them a database has had."""

import re
from dataclasses import dataclass
from importlib import resources

from dispatcher.errors import ConfigurationError
from dispatcher.recording.clickhouse import ACCESS_DENIED, ClickHouse, QueryFailed, SchemaMissing
from dispatcher.recording.clustering import clustered

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")

# What was recorded before is brought into a new table piece by piece, so that no statement takes long. A message may be
# resent for 28 days, and the attempts at that are kept for as long again.
_PIECES = {"{days_ago}": range(58), "{months_ago}": range(14)}

_GRANTS = "SELECT, INSERT, CREATE TABLE, CREATE VIEW, DROP VIEW, ALTER TABLE and ALTER VIEW"
"""What migrations need; CREATE OR REPLACE VIEW is why one drops."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of statements, each harmless where it was run before: two recorders may start at once."""

    number: int
    name: str
    statements: tuple[str, ...]


def migrations() -> tuple[Migration, ...]:
    """Every migration, in order."""
    found = []
    for file in resources.files("dispatcher.recording").joinpath("migrations").iterdir():
        match = _FILE.fullmatch(file.name)
        if match is not None:
            found.append(Migration(int(match[1]), match[2], _statements(file.read_text(encoding="utf-8"))))
    return tuple(sorted(found, key=lambda migration: migration.number))


async def pending_migrations(clickhouse: ClickHouse) -> tuple[Migration, ...]:
    """The migrations that the database has not had, all of them where it does not exist. Changes nothing.

    Raises:
        ClickHouseUnavailable: nothing answers.
        QueryFailed: the user may not ask.
    """
    try:
        rows = await clickhouse.query("SELECT DISTINCT number FROM schema_migrations")
    except SchemaMissing:
        return migrations()
    applied = {row["number"] for row in rows}
    return tuple(migration for migration in migrations() if migration.number not in applied)


async def later_migrations(clickhouse: ClickHouse) -> tuple[str, ...]:
    """Numbers and names of the migrations that a later version than this one has applied, in order.

    Raises:
        ClickHouseUnavailable: nothing answers.
        QueryFailed: the user may not ask, or there is no schema yet.
    """
    rows = await clickhouse.query(
        "SELECT DISTINCT number, name FROM schema_migrations WHERE number > {last:UInt32} ORDER BY number",
        {"last": migrations()[-1].number},
    )
    return tuple(f"{row['number']:04} {row['name']}" for row in rows)


async def migrate(clickhouse: ClickHouse) -> tuple[Migration, ...]:
    """Bring the database up to date; returns what was applied. Where nothing is missing, it only asks.

    Raises:
        ClickHouseUnavailable: nothing answers.
        ConfigurationError: something is missing, and the user may not make it.
        QueryFailed: a statement is refused for another reason.
    """
    try:
        return await _migrate(clickhouse)
    except QueryFailed as error:
        if error.code != ACCESS_DENIED:
            raise
        on_cluster = "" if clickhouse.cluster is None else ", and CLUSTER on *.*"
        raise ConfigurationError(
            f"the ClickHouse user {clickhouse.url.connection.get('username')} may not apply migrations "
            f"({str(error)[:300]}): grant {_GRANTS} on {clickhouse.database}.*{on_cluster}, or run `dispatcher doctor "
            "--apply` with DISPATCHER_CLICKHOUSE_URL of a user who has them"
        ) from None


async def _migrate(clickhouse: ClickHouse) -> tuple[Migration, ...]:
    # Nothing is made that is there: ON CLUSTER waits for every server, so that one that is away would stop recorders
    # that have nothing to apply; and then they need no more than SELECT and INSERT.
    missing = await pending_migrations(clickhouse)
    nothing_recorded = len(missing) == len(migrations())
    if nothing_recorded:
        await clickhouse.create_database()
        for statement in _rendered(_REMEMBERED, clickhouse.cluster):
            await clickhouse.command(statement)
    for migration in missing:
        for statement in migration.statements:
            pieces = _pieces(statement)
            if len(pieces) == 1 or not nothing_recorded:
                for piece in pieces:
                    for rendered in _rendered(piece, clickhouse.cluster):
                        await clickhouse.maintain(rendered)
        await clickhouse.command(
            "INSERT INTO schema_migrations (number, name) SELECT {number:UInt32}, {name:String}",
            {"number": migration.number, "name": migration.name},
        )
    return missing


def _rendered(statement: str, cluster: str | None) -> tuple[str, ...]:
    return (statement,) if cluster is None else clustered(statement, cluster)


_REMEMBERED = """\
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number UInt32,
    name String,
    applied_on DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = MergeTree ORDER BY number
"""


def _pieces(statement: str) -> tuple[str, ...]:
    for mark, numbers in _PIECES.items():
        if mark in statement:
            return tuple(statement.replace(mark, str(number)) for number in numbers)
    return (statement,)


def _statements(text: str) -> tuple[str, ...]:
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return tuple(statement.strip() for statement in re.split(r";\s*(?:\n|\Z)", code) if statement.strip())
