"""How many statements a page and a call of the API ask of ClickHouse: what makes them slow where much is recorded.

Where one of these fails, a page asks more than it did. If it is worth that, write down the new number.
"""

from collections import Counter
from collections.abc import Mapping
from time import time
from typing import Any

import pytest

from dispatcher.recording.clickhouse import ClickHouse
from tests.support.clickhouse import ON_A_SERVER_TOO, insert, outcome
from tests.support.closed_hours import close
from tests.support.portal import Api
from tests.support.visitor import Visitor

pytestmark = ON_A_SERVER_TOO

# At most: around the turn of an hour, or of a day, it may be one less.
PAGES = {
    "": 0,
    "?sort=success_rate": 0,
    "?whole=yes": 3,
    "?whole=yes&sort=success_rate": 3,
    "/{id}": 0,
    "/{id}?tab=metrics": 0,
    "/{id}?tab=metrics&status=failed": 0,
    "/{id}?tab=metrics&whole=yes": 4,
    "/{id}?tab=metrics&whole=yes&status=failed": 3,
    "/{id}/edit": 0,
    "/new": 0,
}
PARTS = {
    ("deliveries", ""): 3,
    ("deliveries", "?sort=success_rate"): 3,
    ("messages", "/{id}?tab=metrics"): 2,
    ("attempts", "/{id}?tab=metrics"): 3,
    ("attempts", "/{id}?tab=metrics&status=failed"): 2,
}
CALLS = {
    "/webhooks": 0,
    "/webhooks/{id}": 0,
    "/webhooks/{id}/metrics": 2,
    "/webhooks/{id}/metrics/history?bucket=day": 2,
    "/webhooks/{id}/attempts": 3,
    "/webhooks/{id}/attempts?status=failed": 2,
    "/webhooks/{id}/attempts.csv": 3,
    "/webhooks/{id}/audit": 0,
}
CALLS_ONCE_CLOSED = {
    "/webhooks/{id}/metrics": 1,
    "/webhooks/{id}/attempts": 4,
    "/webhooks/{id}/attempts?status=pending": 3,
    "/webhooks/{id}/attempts?status=failed": 2,
}


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What was asked, with its count; cleared by whoever asks for something else."""
    asked: Counter[str] = Counter()
    query = ClickHouse.query

    async def counting(self: ClickHouse, sql: str, parameters: Any = None) -> list[dict[str, Any]]:
        asked[" ".join(sql.split())] += 1
        return await query(self, sql, parameters)

    monkeypatch.setattr(ClickHouse, "query", counting)
    return asked


@pytest.fixture
async def id(api: Api, clickhouse: ClickHouse) -> str:
    """The first of three webhooks; two of its messages arrived, one failed, one waits."""
    first, *_ = [str((await api.create(target_url=f"https://tickets.example/{n}"))["id"]) for n in range(3)]
    now = round(time() * 1000)
    rows = [
        outcome("msg_1", 1, "successful", at=now - 60_000, webhook_id=first),
        outcome("msg_2", 1, "successful", at=now - 50_000, webhook_id=first),
        outcome("msg_3", 1, "failed", at=now - 40_000, webhook_id=first),
        outcome("msg_4", 1, "failed", at=now - 30_000, webhook_id=first, next_attempt_at=now + 300_000),
    ]
    await insert(clickhouse, rows)
    return first


async def test_statements_of_a_page(id: str, visitor: Visitor, statements: Counter[str]) -> None:
    await visitor.sign_in()
    asked = {}
    for path in PAGES:
        statements.clear()
        page = await visitor.get(visitor.webhooks + path.format(id=id), Sec_Fetch_Mode="navigate")
        assert page.status == 200, path
        asked[path] = statements.total()
    assert {path: count for path, count in asked.items() if count > PAGES[path]} == {}


async def test_statements_of_a_part_that_follows_a_page(id: str, visitor: Visitor, statements: Counter[str]) -> None:
    await visitor.sign_in()
    asked = {}
    for part, path in PARTS:
        statements.clear()
        answer = await visitor.get(visitor.webhooks + path.format(id=id), X_Page_Part=part)
        assert (answer.status, "data-part" in answer.html, "<main" in answer.html) == (200, True, False), (part, path)
        asked[part, path] = statements.total()
    assert {of: count for of, count in asked.items() if count > PARTS[of]} == {}


async def test_statements_of_a_call(id: str, api: Api, statements: Counter[str]) -> None:
    assert await calls_that_ask_more(CALLS, id, api, statements) == {}


async def test_statements_of_a_call_once_all_hours_are_closed(
    id: str, api: Api, clickhouse: ClickHouse, statements: Counter[str]
) -> None:
    await close(clickhouse)
    assert await calls_that_ask_more(CALLS_ONCE_CLOSED, id, api, statements) == {}


async def calls_that_ask_more(
    calls: Mapping[str, int], id: str, api: Api, statements: Counter[str]
) -> Mapping[str, int]:
    asked = {}
    for path in calls:
        statements.clear()
        reply = await api("GET", path.format(id=id))
        assert reply.status == 200, path
        asked[path] = statements.total()
    return {path: count for path, count in asked.items() if count > calls[path]}
