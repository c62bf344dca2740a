"""Somebody who watches and reads slowly, and what is watched."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from aiokafka import TopicPartition

from dispatcher.portal.api import csv_export
from dispatcher.portal.api.attempt_views import AttemptView, views_of_outcome
from dispatcher.portal.feed import WAITING_OF_WATCHER, AttemptFeed, Watcher
from tests.support.clickhouse import outcome

THEN = int(datetime(2026, 11, 23, 10, 15, 4, 120_000, tzinfo=UTC).timestamp() * 1000)


class Consumer:
    """Has some outcomes to give."""

    def __init__(self, *values: bytes, starts: bool = True) -> None:
        self._starts = starts
        self._records = [
            SimpleNamespace(key=b"wh-1", value=value, headers=(), topic="attempts", timestamp=THEN) for value in values
        ]
        self.starting = asyncio.Event()
        self.stopped = False

    async def start(self) -> None:
        self.starting.set()
        if not self._starts:
            await asyncio.Event().wait()

    def assign(self, _: object) -> None:
        pass

    async def seek_to_end(self) -> None:
        pass

    def assignment(self) -> list[TopicPartition]:
        return []

    async def getmany(self, **_: int) -> dict[TopicPartition, list[Any]]:
        records, self._records = self._records, []
        if not records:
            await asyncio.sleep(0.01)
        return {TopicPartition("attempts", 0): records}

    async def stop(self) -> None:
        self.stopped = True


def feed_of(consumer: Consumer) -> AttemptFeed:
    async def partitions_for(_: str) -> set[int]:
        return {0}

    clients = SimpleNamespace(consumer=lambda **_: consumer)
    topics = SimpleNamespace(deliveries="deliveries", bulk="bulk", attempts="attempts")
    producer = SimpleNamespace(partitions_for=partitions_for)
    return AttemptFeed(cast("Any", clients), cast("Any", topics), cast("Any", producer))


async def test_a_record_that_cannot_be_shown_does_not_end_the_watching() -> None:
    good = orjson.dumps(outcome("msg_1", 1, "successful", at=THEN))
    bad = (b"{}", b"[]", b"1", b"{", good.replace(b"%d" % THEN, b"1e300"), good.replace(b"%d" % THEN, b"-1e17"))
    consumer = Consumer(*bad, good)
    async with feed_of(consumer).watch("wh-1") as watcher, asyncio.timeout(10):
        assert await watcher.take(60) == ([row()], 0)
    assert consumer.stopped


async def test_whoever_leaves_before_the_watching_began_leaves_no_consumer_behind() -> None:
    consumer = Consumer(starts=False)

    async def watch() -> None:
        async with feed_of(consumer).watch("wh-1"):
            pass

    watching = asyncio.create_task(watch())
    await consumer.starting.wait()
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert consumer.stopped


def row(attempt: int = 1, error: str | None = None) -> AttemptView:
    (view,) = views_of_outcome(outcome("msg_1", attempt, "successful", at=THEN))
    return view.model_copy(update={"error": error})


async def test_drops_the_oldest_and_says_so() -> None:
    watcher = Watcher()
    rows = [row(number) for number in range(WAITING_OF_WATCHER + 3)]
    for one in rows:
        watcher.put(one)
    assert await watcher.take(1) == (rows[3:], 3)
    assert await watcher.take(0) == ([], 0)


async def test_ends_after_what_is_left() -> None:
    watcher = Watcher()
    watcher.put(row())
    watcher.end()
    async with asyncio.timeout(10):
        assert await watcher.take(60) == ([row()], 0)
        assert await watcher.take(60) is None
        assert await watcher.take(60) is None


def test_an_outcome_makes_rows() -> None:
    made, following = views_of_outcome(outcome("msg_1", 1, "failed", at=THEN, next_attempt_at=THEN + 5_000))
    assert made.model_dump(mode="json") == {
        "id": "msg_1-1-1",
        "message_id": "msg_1",
        "run": 1,
        "attempt": 1,
        "status": "failed",
        "duration_ms": 40,
        "response_code": 503,
        "executed_on": "2026-11-23T10:15:04.120Z",
        "error": "answered 503",
        "next_attempt_at": None,
    }
    assert (following.id, following.status, following.executed_on) == ("msg_1-1-2", "pending", None)
    assert following.model_dump(mode="json")["next_attempt_at"] == "2026-11-23T10:15:09.120Z"


def test_no_cell_is_a_formula() -> None:
    for start in "=+-@\t\r\n＝":  # noqa: RUF001 - the full-width form too
        assert f"'{start}cmd" in csv_export.lines([row(error=f"{start}cmd|x")]).decode()
    assert csv_export.lines([row(error='say "a,b"')]).decode().endswith('"say ""a,b""",\r\n')
    assert csv_export.header_line(for_spreadsheets=True).startswith(b"\xef\xbb\xbfid,message_id")
    assert csv_export.header_line(for_spreadsheets=False).startswith(b"id,message_id")
