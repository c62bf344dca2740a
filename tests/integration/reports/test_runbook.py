"""What the runbook asks ClickHouse can be asked."""

import re

import pytest

from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.clustering import clustered
from dispatcher.recording.schema import migrate, migrations
from tests.support.clickhouse import a_database
from tests.support.runbook import RUNBOOK

STATEMENTS = re.findall(r"```sql\n(.*?)```", RUNBOOK, re.DOTALL)
IN_A_LINE = re.findall(r"`((?:SELECT|ALTER|KILL) (?!…)[^`]+)`", RUNBOOK)


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: " ".join(statement.split()[:6]))
async def test_statements_run(sample: ClickHouse, statement: str) -> None:
    assert await sample.query(statement) or "INTERVAL" in statement  # the sample ends at midnight


@pytest.mark.parametrize("statement", IN_A_LINE, ids=lambda statement: " ".join(statement.split()[:6]))
async def test_statements_within_a_line_run(engine: str, statement: str) -> None:
    store = ClickHouse(engine, database=a_database())
    try:
        await migrate(store)
        # No cluster runs here: that of a single server, and the table that stands for it.
        await store.command(re.sub(r"(\w+)_local ON CLUSTER 'main'", r"\1", statement))
    finally:
        await store.close()


def test_what_is_changed_on_a_cluster_is_a_table_of_its_servers() -> None:
    [changed] = [found[1] for each in IN_A_LINE if (found := re.match(r"ALTER TABLE (\w+) ON CLUSTER", each))]
    made = [each for migration in migrations() for one in migration.statements for each in clustered(one, "main")]
    assert any(each.startswith(f"CREATE TABLE IF NOT EXISTS {changed} ON CLUSTER 'main'\n(") for each in made)
