"""ClickHouse: does it answer, has it the schema of this version, has it room."""

import time

from dispatcher.errors import DispatcherError
from dispatcher.operations.doctor.finding import Finding, fine, notice, problem, split_advice
from dispatcher.operations.doctor.machine import judge_room
from dispatcher.operations.wording import counted
from dispatcher.recording.beside import Beside, NothingStored, clickhouse_beside
from dispatcher.recording.clickhouse import ClickHouse, QueryFailed
from dispatcher.recording.schema import later_migrations, migrate, migrations, pending_migrations
from dispatcher.settings import Settings

_OBJECTS = ("attempts", "messages", "success_rate_hourly", "success_rate_daily")


async def check_clickhouse(settings: Settings) -> list[Finding]:
    """Everything about ClickHouse."""
    try:
        async with clickhouse_beside(settings) as beside:
            return [await _answer(beside), *await _schema(beside), *await _room(beside.clickhouse)]
    except NothingStored as error:
        return [notice("ClickHouse", *split_advice(str(error)))]
    except (DispatcherError, QueryFailed) as error:
        return [problem("ClickHouse", *split_advice(str(error)))]


async def apply_migrations(settings: Settings) -> list[str]:
    """Bring the schema up to date where this process may; the names of what was applied.

    Raises:
        ClickHouseUnavailable: nothing answers.
        ConfigurationError: the user may not.
        QueryFailed: a statement is refused for another reason.
    """
    async with clickhouse_beside(settings) as beside:
        if not beside.writable:
            return []
        return [f"{each.number:04} {each.name}" for each in await migrate(beside.clickhouse)]


async def _answer(beside: Beside) -> Finding:
    before = time.perf_counter()
    # Without our database, which may not be there yet.
    [row] = await beside.clickhouse.query("SELECT version() AS version")
    answered = (time.perf_counter() - before) * 1_000
    return fine("ClickHouse", f"{row['version']}, {beside.way}, {answered:.0f} ms")


async def _schema(beside: Beside) -> list[Finding]:
    pending = await pending_migrations(beside.clickhouse)
    if pending:
        names = ", ".join(f"{each.number:04} {each.name}" for each in pending)
        remedy = (
            "run `dispatcher doctor --apply`, or start a recorder"
            if beside.writable
            else "stop `dispatcher up` and start it again: its recorder applies them"
        )
        return [problem("schema", f"{counted(len(pending), 'migration')} to apply: {names}", remedy)]
    missing = []
    for name in _OBJECTS:
        try:
            await beside.clickhouse.query(f"SELECT 1 FROM {name} LIMIT 0")  # noqa: S608 - names of our own
        except QueryFailed:
            missing.append(name)
    later = ", ".join(await later_migrations(beside.clickhouse))
    if missing:
        what = f"{', '.join(missing)} cannot be asked, although every migration was applied"
        if later:
            return [problem("schema", f"{what}, and of a later version {later}", "run that version again")]
        return [problem("schema", what, "create them again: the statements are in dispatcher/recording/migrations")]
    found = f"all {len(migrations())} migrations are applied"
    if later:
        remedy = "nothing, after a rollback: this version works beside it. Else bring this process up to that version"
        return [notice("schema", f"{found}, and of a later version {later}", remedy)]
    return [fine("schema", found)]


async def _room(clickhouse: ClickHouse) -> list[Finding]:
    try:
        rows = await clickhouse.query("SELECT name, free_space AS free, total_space AS total FROM system.disks")
    except QueryFailed:
        return []  # somebody who may only ask for the tables
    return [
        judge_room(f"ClickHouse's disk {row['name']}", int(row["free"]), int(row["total"]))
        for row in rows
        if int(row["total"])
    ]
