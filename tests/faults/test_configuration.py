"""Configuration under concurrency, at length: ``tests/integration/portal/test_contention.py`` is the quick version."""

from pathlib import Path

import pytest

from dispatcher.settings import Settings
from tests.support.contention import a_contention
from tests.support.fault_table import FaultTable, Row

ROUNDS = 12

pytestmark = pytest.mark.faults_full


async def test_many_change_the_same_webhooks_at_once(
    settings: Settings, tmp_path: Path, table: FaultTable, seed: int
) -> None:
    removed = 0
    async with a_contention(settings, tmp_path, seed) as contention:
        webhooks: list[str] = []
        for _ in range(ROUNDS):
            webhooks += await contention.create(10)
            await contention.contend(webhooks, waves=4, at_once=8)
            await contention.check()
            removed += await contention.compact()
            standing = await contention.check()
            webhooks = [id for id in webhooks if standing[id].webhook is not None]
    assert removed > 0
    deleted = sum(each.deletions for each in standing.values())
    disabled = sum(len(each.told) for id, each in standing.items() if id != contention.sentinel)
    assert disabled > 0
    table.add(
        Row(
            fault="edits, deletions, enabling and 410 at once, by two portals",
            messages=contention.changes,
            lost=0,
            twice=0,
            worst_delay=contention.slowest,
            notes=(
                f"changes that won; {contention.lost} others did not; {deleted} deleted, {disabled} disabled by 410, "
                f"{ROUNDS} compactions removed {removed} records; the delay is an answer's; seed {seed}"
            ),
        )
    )
