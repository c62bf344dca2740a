"""What a delivery costs the sender, in counts that are the same on every machine.

Where one of these fails, something was added to the way of every delivery. If it is worth that, raise the bound.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

import dispatcher
from dispatcher.delivery import reports
from dispatcher.delivery import sender as sender_role
from tests.support.counting import blocks_in_use, function_calls, kafka_requests, records_in
from tests.support.delivering import Delivering
from tests.support.waiting import eventually

WEBHOOKS = 50
OF_EACH = 10
DELIVERIES = WEBHOOKS * OF_EACH

CALLS_A_DELIVERY = {dispatcher: 154, aiohttp: 85}
"""Calls of Python functions; 147 and 73 now. aiohttp's session alone would be 90 more."""

CALLS_A_SECOND = 250
"""Of what a sender does as time passes: commits, looks, counts."""

BLOCKS_IN_FLIGHT = 145
"""Allocations that a delivery holds while its target does not answer, with a connection of its own and the test's end
of it: 132 in CPython 3.11 when this was written."""

BLOCKS_AFTERWARDS = 100
"""The same when its outcome is stored: 90, nearly all of the two ends of the connection, which is kept."""

PRODUCE_REQUESTS = 8
"""7 when this was written: a request takes 64 KB of each partition, of the outcomes of all of them."""


class _Call(asyncio.Protocol):
    """One call, unanswered: told to ``called`` when it is there."""

    def __init__(self, called: list[asyncio.Transport]) -> None:
        self._called = called

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"}"):  # of the body
            self._called.append(self._transport)


@asynccontextmanager
async def a_target(called: list[asyncio.Transport]) -> AsyncIterator[str]:
    """Each connection is one call."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Call(called), "127.0.0.1", 0, backlog=DELIVERIES)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for each in called:
            each.abort()


async def answer(called: list[asyncio.Transport]) -> None:
    """A few at a time, as answers come in life: those at the same time would share a request by themselves."""
    for number, each in enumerate(called):
        each.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        if number % 10 == 9:
            await asyncio.sleep(0.005)


async def test_what_a_delivery_costs_the_sender(delivering: Delivering, monkeypatch: pytest.MonkeyPatch) -> None:
    # What takes its time on a busy machine must not show: outcomes, which wait a little for others, wait for all here,
    # and no attempt takes so long that it is shown in progress.
    assert reports._LINGER_SECONDS > 0
    monkeypatch.setattr(reports, "_LINGER_SECONDS", 600.0)
    monkeypatch.setattr(sender_role, "SHOWN_IN_PROGRESS_AFTER_MS", 60_000)
    clients, topics = delivering.clients, delivering.topics
    written = [topics.attempts, topics.bulk, topics.parked, topics.notices, topics.dead_letter, *topics.retry.values()]
    called: list[asyncio.Transport] = []
    async with a_target(called) as target:
        for webhook in range(WEBHOOKS):
            await delivering.webhook(f"wh-{webhook}", f"{target}/{webhook}")
            await delivering.deliver(f"wh-{webhook}", *(f"msg_{webhook}_{number}" for number in range(OF_EACH)))
        with kafka_requests(monkeypatch) as requests, function_calls(*CALLS_A_DELIVERY) as calls:
            started, before = time.monotonic(), blocks_in_use()
            sender = await delivering.sender()
            await eventually(lambda: len(called) == DELIVERIES, timeout=60)
            while_called = blocks_in_use() - before
            await answer(called)
            await eventually(lambda: all(work.reporting for work in sender._executing.values()), timeout=60)
            sender._reports._batches._flush()
            await eventually(lambda: not sender._executing, timeout=60)
            afterwards = blocks_in_use() - before
            seconds = time.monotonic() - started
            await sender.stop()

    assert await records_in(clients, *written) == dict.fromkeys(written, 0) | {topics.attempts: DELIVERIES}
    for package, most in CALLS_A_DELIVERY.items():
        assert (calls[package] - CALLS_A_SECOND * seconds) / DELIVERIES <= most, package
    assert while_called / DELIVERIES <= BLOCKS_IN_FLIGHT
    assert afterwards / DELIVERIES <= BLOCKS_AFTERWARDS
    assert requests["Produce"] <= PRODUCE_REQUESTS
    # 12 for the records, and 12 a second while there are none; commits are made every tenth of one.
    assert requests["Fetch"] <= 18 + 16 * seconds
    assert requests["OffsetCommit"] <= 3 + 10 * seconds
