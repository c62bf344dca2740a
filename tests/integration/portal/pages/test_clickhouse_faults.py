"""ClickHouse behind a bad link: the API answers 503 with a problem, pages say so, nobody waits for ever."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.portal.app import Portal
from dispatcher.recording import clickhouse as clients_of_clickhouse
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.settings import Settings
from dispatcher.webhooks.follower import ConfigFollower
from tests.support import faulty_link
from tests.support.clickhouse import insert, outcome, port_in_front_of
from tests.support.faulty_link import Fault, FaultyLink, a_faulty_link, client_seconds
from tests.support.portal import Api, vault_of
from tests.support.visitor import Visitor
from tests.support.waiting import eventually

FAULTS: dict[str, Fault] = {
    "answer cut": faulty_link.answer_cut,
    "answer silent": faulty_link.answer_silent,
    "answer endless": faulty_link.answer_endless,
    "out of memory": faulty_link.out_of_memory,
    "too many queries": faulty_link.too_many_queries,
    "wrong password": faulty_link.wrong_password,
    "bad gateway": faulty_link.bad_gateway,
    "exception in the answer": faulty_link.exception_in_the_answer(tagged=True),
    "exception of an older server": faulty_link.exception_in_the_answer(tagged=False),
}
NOW = int(time.time() * 1000)
NOBODY_WAITS_LONGER = 20.0
_UNAVAILABLE = "How deliveries went is not available at the moment."


@pytest.fixture
async def link(
    engine: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FaultyLink]:
    monkeypatch.setattr(clients_of_clickhouse, "_CLIENT_SECONDS", client_seconds(request))
    monkeypatch.setattr(clients_of_clickhouse, "_ENDS_SECONDS", 0.5)
    async with port_in_front_of(engine) as port, a_faulty_link(f"http://127.0.0.1:{port.port}") as link:
        yield link


@pytest.fixture
async def portal(
    settings: Settings,
    clients: KafkaClients,
    topics: Topics,
    follower: ConfigFollower,
    clickhouse: ClickHouse,
    link: FaultyLink,
) -> AsyncIterator[Portal]:
    """Asks the database of ``clickhouse`` over the link."""
    async with AsyncExitStack() as stack:
        behind = ClickHouse(link.url, database=clickhouse.database)
        stack.push_async_callback(behind.close)
        portal = Portal(settings, clients, topics, follower, vault_of(settings), behind)
        stack.push_async_callback(portal.stop)
        await portal.start()
        yield portal


async def assert_it_says_so(api: Api, visitor: Visitor, webhook_id: str, attempt_id: str) -> None:
    """Everything that is read from ClickHouse."""
    webhook = f"/webhooks/{webhook_id}"

    async def ask(what: str) -> None:
        began = time.monotonic()
        reply = await api("GET", f"{webhook}/{what}")
        assert (reply.status, reply.headers["Content-Type"]) == (503, "application/problem+json"), what
        assert reply.body["detail"].startswith("ClickHouse does not answer at the moment"), what
        assert int(reply.headers["Retry-After"]) > 0
        assert time.monotonic() - began < NOBODY_WAITS_LONGER, what

    asked = ("metrics", "metrics/history?bucket=hour", "attempts", f"attempts/{attempt_id}", "attempts.csv")
    async with asyncio.TaskGroup() as asking:
        for what in asked:
            asking.create_task(ask(what))
    page = await visitor.get(f"{visitor.webhooks}?whole=")
    assert (page.status, "Tickets" in page.text, _UNAVAILABLE in page.text) == (200, True, True)
    assert ("Not known at the moment" in page.text, "No messages" in page.text) == (True, False)
    page = await visitor.get(f"{visitor.webhooks}/{webhook_id}?tab=metrics&whole=")
    assert (page.status, _UNAVAILABLE in page.text) == (200, True)
    assert re.search(r"<div data-empty [^>]*hidden>", page.html)
    page = await visitor.get(f"{visitor.webhooks}/{webhook_id}/attempts/{attempt_id}")
    assert (page.status, "Not available at the moment" in page.text) == (503, True)
    assert "Traceback" not in page.html


async def all_is_well(api: Api, visitor: Visitor, webhook_id: str, attempt_id: str) -> bool:
    reply = await api("GET", f"/webhooks/{webhook_id}/metrics")
    assert reply.status == 200
    assert reply.body["successful"] == 1
    page = await visitor.get(f"{visitor.webhooks}?whole=")
    assert (page.status, _UNAVAILABLE in page.text) == (200, False)
    assert (await visitor.get(f"{visitor.webhooks}/{webhook_id}/attempts/{attempt_id}")).status == 200
    return True


@pytest.fixture
async def made(api: Api, visitor: Visitor, clickhouse: ClickHouse) -> tuple[str, str]:
    """The ids of a webhook and of its only attempt, and the visitor is signed in."""
    webhook_id = (await api.create())["id"]
    await insert(clickhouse, [outcome("m", 1, "successful", at=NOW, webhook_id=webhook_id)])
    await visitor.sign_in()
    return webhook_id, "m-1-1"


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_fault_is_told_and_passes(
    api: Api, visitor: Visitor, link: FaultyLink, made: tuple[str, str], fault: Fault
) -> None:
    link.spoil(fault)
    await assert_it_says_so(api, visitor, *made)
    assert link.met
    link.heal()
    # Clients that do not wait long may not have their answers at once.
    await eventually(lambda: all_is_well(api, visitor, *made))


async def test_nobody_listens_and_then_somebody_does(
    api: Api, visitor: Visitor, link: FaultyLink, made: tuple[str, str]
) -> None:
    await link.close()
    await assert_it_says_so(api, visitor, *made)
    await link.open()
    await eventually(lambda: all_is_well(api, visitor, *made))


async def test_a_page_that_lacks_only_its_figures_says_so(
    visitor: Visitor, link: FaultyLink, made: tuple[str, str]
) -> None:
    link.spoil(faulty_link.out_of_memory, "quantiles")
    page = await visitor.get(f"{visitor.webhooks}/{made[0]}?tab=metrics&whole=")
    assert (page.status, _UNAVAILABLE in page.text) == (200, True)
    assert made[1] in page.html
