"""A stream of attempts ends when whoever reads it would no longer be let in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from dispatcher.portal.api import attempts
from dispatcher.portal.api.attempt_views import views_of_outcome
from dispatcher.portal.api.attempts import AttemptsApi
from dispatcher.portal.api.problems import Problem
from dispatcher.portal.auth import Caller, Membership
from dispatcher.portal.feed import Watcher
from tests.support.clickhouse import outcome
from tests.support.serving import CALLER, serving
from tests.support.webhooks import a_webhook, named_webhooks

STREAM = "/api/v1/organizations/org-contoso/webhooks/wh-1/attempts/stream"
THEN = int(datetime(2026, 11, 23, 10, 15, tzinfo=UTC).timestamp() * 1000)
(ROW,) = views_of_outcome(outcome("msg_1", 1, "successful", at=THEN))


class Feed:
    def __init__(self) -> None:
        self.watcher = Watcher()

    @asynccontextmanager
    async def watch(self, _: str) -> AsyncIterator[Watcher]:
        yield self.watcher


class Door:
    """Who is let in; nobody once ``who`` is what is to be said to them."""

    def __init__(self) -> None:
        self.who: Caller | Problem = CALLER

    async def __call__(self, _: web.Request) -> Caller:
        if isinstance(self.who, Problem):
            raise self.who
        return self.who


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
async def url(feed: Feed, door: Door, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setattr(attempts, "_HEARTBEAT_SECONDS", 0.1)
    api = AttemptsApi(
        named_webhooks(a_webhook()), cast("Any", None), cast("Any", feed), lambda: datetime.now(UTC), monotonic
    )
    async with serving(api.operations(), caller_of=door) as url:
        yield url


@pytest.mark.parametrize(
    "who",
    [
        Problem(401, "The token has expired."),
        Caller(sub="u-1", organizations={"org-contoso": Membership(role="reader")}),
    ],
    ids=["signed out", "another role"],
)
@pytest.mark.parametrize("busy", [False, True], ids=["at rest", "busy"])
async def test_it_ends_at_the_next_look(url: str, feed: Feed, door: Door, who: Caller | Problem, *, busy: bool) -> None:
    async def happen() -> None:
        while True:
            feed.watcher.put(ROW)
            await asyncio.sleep(0.01)

    happening = asyncio.create_task(happen()) if busy else None
    try:
        async with aiohttp.ClientSession() as client, client.get(f"{url}{STREAM}") as response, asyncio.timeout(10):
            seen = b""
            while (b"event: attempt" if busy else b": still here\n\n" * 2) not in seen:
                seen += await response.content.readany()
            door.who = who
            while await response.content.readany():
                pass
    finally:
        if happening is not None:
            happening.cancel()
