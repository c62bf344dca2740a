"""Erasing an organization from ClickHouse, so that nothing of it comes back."""

# Only constants of this module are put into statements; values are bound by the server.
# ruff: noqa: S608

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence

from dispatcher.errors import ClickHouseUnavailable
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.clustering import local, quoted
from dispatcher.recording.hours import OF_ORGANIZATION

TABLES = ("attempt_states", "message_states", "message_bodies", "attempt_details")
"""Where what is inserted is kept."""

_OF_ORGANIZATIONS = (
    *TABLES,
    "messages_by_hour",
    "attempt_times",
    "retold_messages",
    "touched_hours",
    "closed_hours",
    "closed_days",
)
"""What names the organization of each row."""

_EVERYWHERE = (*_OF_ORGANIZATIONS, "message_hours")

_NAMED_AT_ONCE = 10_000
_LOOK_FIRST_SECONDS = 0.05
_LOOK_LONGEST_SECONDS = 2.0

_ERASED = "webhook_id IN (SELECT webhook_id FROM erased_webhooks)"


class ErasedWebhooks:
    """The webhooks that nothing is to be recorded of any more, as a recorder asks for them before each insert."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse
        self._state: tuple[int, int] = (0, 0)
        self._keys: frozenset[bytes] = frozenset()

    async def keys(self) -> frozenset[bytes]:
        """Their ids as the keys of records.

        Raises:
            ClickHouseUnavailable: it does not answer.
            QueryFailed: it has no such table yet.
        """
        [row] = await self._clickhouse.query(
            "SELECT count() AS ids, toUnixTimestamp64Milli(max(erased_on)) AS last FROM erased_webhooks"
        )
        state = row["ids"], row["last"]
        if state != self._state:
            rows = await self._clickhouse.query("SELECT webhook_id FROM erased_webhooks")
            self._keys = frozenset(each["webhook_id"].encode() for each in rows)
            self._state = state
        return self._keys


async def forget_webhooks(clickhouse: ClickHouse, webhook_ids: Iterable[str]) -> None:
    """Have nothing recorded of these webhooks any more; what was recorded stays until it is erased.

    Raises:
        ClickHouseUnavailable: it does not answer, or has no such table yet.
    """
    rows = "\n".join(json.dumps({"webhook_id": id}) for id in sorted(webhook_ids))
    if rows:
        await clickhouse.insert("erased_webhooks", rows.encode())


async def erase_organization(clickhouse: ClickHouse, organization_id: str) -> int:
    """Remove everything that was recorded of an organization; how many messages that were.

    Nothing more is recorded of the webhooks that are found here either. What says what to remove stays on the disk
    for long, in a list of mutations, and so it is the webhooks: it must not name the organization.

    Returns when no active part on the disk has any of it. Inactive parts go within ten minutes.

    Raises:
        ClickHouseUnavailable: it does not answer, or cannot remove it.
        QueryFailed: it refuses.
    """
    parameters = {"organization_id": organization_id}
    [counted] = await clickhouse.query(
        f"SELECT uniqExact(webhook_id, message_id) AS messages FROM message_states WHERE {OF_ORGANIZATION}", parameters
    )
    ids: set[str] = set()
    for table in _OF_ORGANIZATIONS:
        rows = await clickhouse.query(f"SELECT DISTINCT webhook_id FROM {table} WHERE {OF_ORGANIZATION}", parameters)
        ids.update(row["webhook_id"] for row in rows)
    await forget_webhooks(clickhouse, ids)
    # By name first: a replica may not know yet of what was forgotten a moment ago.
    for some in _in_parts(sorted(ids)):
        for table in _EVERYWHERE:
            named = f"[{', '.join(map(quoted, some))}]"
            await clickhouse.command(f"{_alter(clickhouse, table)} DELETE WHERE webhook_id IN {named}")
    await _until_mutated(clickhouse)
    await erase_forgotten(clickhouse)
    return int(counted["messages"])


async def erase_forgotten(clickhouse: ClickHouse) -> bool:
    """Remove what is there of webhooks of which nothing is recorded any more; whether there was anything.

    A recorder that did not know yet may insert some of it later.

    Raises:
        ClickHouseUnavailable: it does not answer, or cannot remove it.
        QueryFailed: it refuses.
    """
    [known] = await clickhouse.query("SELECT count() AS ids FROM erased_webhooks")
    if not known["ids"]:
        return False
    found = [
        table for table in _OF_ORGANIZATIONS if await clickhouse.query(f"SELECT 1 FROM {table} WHERE {_ERASED} LIMIT 1")
    ]
    if "message_states" in found:
        # What is in this one came through the other, and cannot be asked for a webhook without reading all of it.
        found.insert(0, "message_hours")
    for table in found:
        await clickhouse.command(
            f"{_alter(clickhouse, table)} DELETE WHERE {_erased(clickhouse)}"
            " SETTINGS allow_nondeterministic_mutations = 1"
        )
    await _until_mutated(clickhouse)
    return bool(found)


def _in_parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _NAMED_AT_ONCE):
        yield ids[start : start + _NAMED_AT_ONCE]


def _alter(clickhouse: ClickHouse, table: str) -> str:
    if clickhouse.cluster is None:
        return f"ALTER TABLE {table}"
    return f"ALTER TABLE {local(table)} ON CLUSTER {quoted(clickhouse.cluster)}"


def _erased(clickhouse: ClickHouse) -> str:
    table = "erased_webhooks" if clickhouse.cluster is None else local("erased_webhooks")
    return f"webhook_id IN (SELECT webhook_id FROM {table})"


async def _until_mutated(clickhouse: ClickHouse) -> None:
    """A mutation of millions of rows takes longer than one statement may: it goes on by itself and is looked at."""
    cluster = clickhouse.cluster
    mutations = f"clusterAllReplicas({quoted(cluster)}, system.mutations)" if cluster else "system.mutations"
    wait = _LOOK_FIRST_SECONDS
    while waiting := await clickhouse.query(
        f"SELECT table, latest_fail_reason FROM {mutations} "
        "WHERE database = currentDatabase() AND table IN {tables:Array(String)} AND NOT is_done",
        {"tables": [local(table) for table in _EVERYWHERE] if cluster else list(_EVERYWHERE)},
    ):
        for row in waiting:
            if row["latest_fail_reason"]:
                raise ClickHouseUnavailable(
                    f"ClickHouse cannot remove rows from {row['table']}: {row['latest_fail_reason'][:300]}"
                )
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LOOK_LONGEST_SECONDS)
