"""docs/querying.md: analysts' questions, as SQL to copy, with the answers that the sample gives.

``python -m tools.querying`` writes everything from the first question on anew; a test fails where the page says
something else than ClickHouse does.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.schema import migrate
from dispatcher.reports.questions import QUESTIONS, WAITING, WORSE_WEBHOOKS, Question
from tools.sample_deliveries import insert_sample, last_midnight

PAGE = Path(__file__).resolve().parent.parent / "docs" / "querying.md"

_WEEK = {
    "from": "midnight - INTERVAL 7 DAY",
    "until": "midnight",
    "before": "midnight - INTERVAL 14 DAY",
    "only": "",
    "limit": "5",
    "bucket": "dateDiff('day', h.hour, midnight)",
    "start": "days_ago",
}
_YESTERDAY = {**_WEEK, "from": "midnight - INTERVAL 1 DAY", "before": "midnight - INTERVAL 2 DAY"}
_MONTH = {**_WEEK, "from": "midnight - INTERVAL 30 DAY"}
_OTHERWISE = {WORSE_WEBHOOKS.name: _YESTERDAY, WAITING.name: _MONTH}


def statement(question: Question) -> str:
    """The SQL that the page shows."""
    return f"WITH toStartOfDay(now('UTC')) AS midnight\n{question.sql(_OTHERWISE.get(question.name, _WEEK))}"


def introduction() -> str:
    """What the page says before the first question."""
    return PAGE.read_text(encoding="utf-8").partition("## 1. ")[0]


async def answered(clickhouse: ClickHouse) -> str:
    """The rest of the page, with what a ClickHouse that has the sample answers."""
    parts = []
    for number, question in enumerate(QUESTIONS, start=1):
        sql = statement(question)
        rows = await clickhouse.query(sql)
        parts.append(f"## {number}. {question.title}\n\n```sql\n{sql}\n```\n\n{_table(rows)}\n\n{question.note}\n")
    return "\n".join(parts)


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "(no rows)"
    lines = [list(rows[0]), ["---:" if _is_number(value) else "---" for value in rows[0].values()]]
    lines += [[_shown(value) for value in row.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


async def _ask(directory: Path) -> str:
    clickhouse = ClickHouse(f"chdb://{directory}")
    try:
        await migrate(clickhouse)
        await insert_sample(clickhouse, await last_midnight(clickhouse))
        return await answered(clickhouse)
    finally:
        await clickhouse.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        PAGE.write_text(introduction() + asyncio.run(_ask(Path(made).resolve())), encoding="utf-8")
