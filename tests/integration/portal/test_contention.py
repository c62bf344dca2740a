"""Many change the same webhooks at once through two portals, with a compaction in between."""

import secrets
from pathlib import Path

from dispatcher.settings import Settings
from tests.support.contention import a_contention


async def test_one_winner_and_nothing_resurrected(settings: Settings, tmp_path: Path) -> None:
    seed = secrets.randbelow(10_000)
    print(f"\n  seed {seed}")
    async with a_contention(settings, tmp_path, seed) as contention:
        webhooks = await contention.create(12)
        await contention.contend(webhooks, waves=3, at_once=6)
        await contention.check()
        removed = await contention.compact()
        assert removed > 0
        await contention.check()
        webhooks += await contention.create(4)
        await contention.contend(webhooks, waves=2, at_once=6)
        standing = await contention.check()
        disabled = sum(len(each.told) for each in standing.values())
        print(
            f"  {contention.changes} changes won, {contention.lost} lost, {disabled} webhooks disabled by 410,", end=" "
        )
        print(f"{sum(each.deletions for each in standing.values())} deleted; compaction removed {removed} records")
