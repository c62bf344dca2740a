"""Who asks for the state of a webhook's hours at the same time as somebody else does not ask again."""

import asyncio
from typing import Any, cast

import pytest

from dispatcher.errors import ClickHouseUnavailable
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.history import Metrics
from dispatcher.recording.hours import AskedHours, Hours


class Engine:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: asyncio.Future[list[dict[str, Any]]] = asyncio.get_running_loop().create_future()

    async def query(self, _: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        self.asked.append(parameters["webhook_id"])
        return await asyncio.shield(self.answer)


ROWS = [
    {
        "open_hours": [7200],
        "waiting_hours": [3600],
        "any_retold": 0,
        "pending": 1,
        "in_progress": 2,
        "successful": 3,
        "failed": 4,
        "recent": 7,
        "kept_since": 0,
    }
]
KNOWN = Hours(
    open=(7200,),
    old=False,
    waiting=(3600, 7200),
    retold=False,
    closed=Metrics(successful=3, pending=1, in_progress=2, failed=4),
    recent=7,
    kept_since=0,
)


async def test_an_answer_is_shared_by_those_who_wait_for_it_and_not_kept() -> None:
    engine = Engine()
    hours = AskedHours(cast("ClickHouse", engine))
    asking = [asyncio.create_task(hours.of("org", webhook)) for webhook in ("a", "a", "b")]
    await asyncio.sleep(0)
    asking[0].cancel()
    engine.answer.set_result(ROWS)
    assert await asking[1] == await asking[2] == KNOWN
    assert asking[0].cancelled()
    assert sorted(engine.asked) == ["a", "b"]
    await hours.of("org", "a")
    assert sorted(engine.asked) == ["a", "a", "b"]


async def test_what_goes_wrong_is_told_to_each() -> None:
    engine = Engine()
    hours = AskedHours(cast("ClickHouse", engine))
    asking = [asyncio.create_task(hours.of("org", "a")) for _ in range(2)]
    await asyncio.sleep(0)
    engine.answer.set_exception(ClickHouseUnavailable("away"))
    for each in asking:
        with pytest.raises(ClickHouseUnavailable):
            await each
    assert engine.asked == ["a"]
