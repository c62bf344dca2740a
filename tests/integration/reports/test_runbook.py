"""What the runbook asks ClickHouse can be asked."""

import re

import pytest

from dispatcher.recording.clickhouse import ClickHouse
from tests.support.runbook import RUNBOOK

STATEMENTS = re.findall(r"```sql\n(.*?)```", RUNBOOK, re.DOTALL)


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: " ".join(statement.split()[:6]))
async def test_statements_run(sample: ClickHouse, statement: str) -> None:
    assert await sample.query(statement) or "INTERVAL" in statement  # the sample ends at midnight
