"""Somebody who watches and reads slowly."""

from datetime import UTC, datetime

from dispatcher.portal.api import csv_export
from dispatcher.portal.api.attempt_views import AttemptView, views_of_outcome
from dispatcher.portal.feed import WAITING_OF_WATCHER, Watcher
from tests.support.clickhouse import outcome

THEN = int(datetime(2026, 11, 23, 10, 15, 4, 120_000, tzinfo=UTC).timestamp() * 1000)


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
    assert await watcher.take(1) == ([row()], 0)
    assert await watcher.take(1) is None
    assert await watcher.take(1) is None


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
    assert csv_export.header_line().startswith(b"\xef\xbb\xbfid,message_id")
