"""A proxy in front of ClickHouse's HTTP port that spoils requests: what networks, proxies and busy servers do.

A fault gets a request and decides what comes of it; ``passed_on`` is what would have come of it otherwise.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO

import aiohttp
import pytest
from aiohttp import web

from tests.support.dispatcher import free_port

Fault = Callable[["Asked"], Awaitable[web.StreamResponse]]

_END_OF_A_REQUEST = {"Host", "Content-Length", "Transfer-Encoding", "Connection"}
_TAG = "dkeqnlfeddxxlsbz"


@dataclass(frozen=True)
class Asked:
    """A request that is spoiled."""

    request: web.Request
    behind: aiohttp.ClientSession

    async def passed_on(self, body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
        """ClickHouse's answer: to the request, or to another body."""
        request = self.request
        sent = await request.read() if body is None else body
        headers = {name: value for name, value in request.headers.items() if name not in _END_OF_A_REQUEST}
        # Passed on as it came: its encoding is its affair.
        async with self.behind.request(
            request.method, request.path_qs, data=BytesIO(sent), headers=headers, skip_auto_headers=("Accept-Encoding",)
        ) as answer:
            own = {name: value for name, value in answer.headers.items() if name.startswith(("X-", "Content-Type"))}
            return answer.status, own, await answer.read()

    def reset(self) -> web.StreamResponse:
        """The connection is gone."""
        assert self.request.transport is not None
        self.request.transport.abort()
        return web.Response()

    async def begin(self, headers: Mapping[str, str], *, length: int | None = None) -> web.StreamResponse:
        """The beginning of an answer 200."""
        begun = web.StreamResponse(headers=headers)
        begun.content_length = length
        await begun.prepare(self.request)
        return begun


class FaultyLink:
    """The proxy, at ``url``. A fault is for so many of the requests whose statement is like a pattern."""

    def __init__(self, url: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.met = 0
        """How many requests a fault has met."""
        self._behind = url
        self._fault: Fault | None = None
        self._where = re.compile("")
        self._left = 0
        self._runner: web.AppRunner | None = None

    def spoil(self, fault: Fault, where: str = "", times: int = 1_000_000) -> None:
        """Spoil the next requests whose statement has this in it."""
        self._fault, self._where, self._left, self.met = fault, re.compile(where), times, 0

    def heal(self) -> None:
        """Everything is as it should be."""
        self._fault = None

    async def open(self) -> None:
        """Listen, again after ``close``."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def close(self) -> None:
        """Connections are refused."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        async with aiohttp.ClientSession(self._behind, auto_decompress=False) as behind:
            asked = Asked(request, behind)
            fault = self._fault
            if fault is not None and self._left and await self._is_meant(request):
                self._left -= 1
                self.met += 1
                return await fault(asked)
            status, headers, body = await asked.passed_on()
            return web.Response(status=status, headers=headers, body=body)

    async def _is_meant(self, request: web.Request) -> bool:
        statement = request.query.get("query", "") or (await request.read()).decode(errors="replace")
        return self._where.search(statement) is not None


@asynccontextmanager
async def a_faulty_link(url: str) -> AsyncIterator[FaultyLink]:
    """No fault yet."""
    link = FaultyLink(url)
    await link.open()
    try:
        yield link
    finally:
        await link.close()


async def reset_in_the_request(asked: Asked) -> web.StreamResponse:
    """Some of the body has come; ClickHouse gets none of it."""
    await asked.request.content.readany()
    return asked.reset()


async def half_of_it_applied(asked: Asked) -> web.StreamResponse:
    """ClickHouse has written some of the rows when the connection goes."""
    rows = (await asked.request.read()).splitlines(keepends=True)
    await asked.passed_on(b"".join(rows[: len(rows) // 2]))
    return asked.reset()


async def answer_lost(asked: Asked) -> web.StreamResponse:
    """It is done, and nobody hears of it."""
    await asked.passed_on()
    return asked.reset()


async def answer_cut(asked: Asked) -> web.StreamResponse:
    """The connection goes in the middle of the answer."""
    _, headers, body = await asked.passed_on()
    begun = await asked.begin(headers, length=len(body) + 1)
    await begun.write(body[: len(body) // 2])
    return asked.reset()


async def answer_silent(asked: Asked) -> web.StreamResponse:
    """An answer begins, and nothing follows."""
    _, headers, body = await asked.passed_on()
    await (await asked.begin(headers)).write(body[: len(body) // 2])
    await asyncio.Event().wait()
    raise AssertionError


async def answer_endless(asked: Asked) -> web.StreamResponse:
    """An answer comes byte by byte and never ends: no single read lasts long."""
    _, headers, body = await asked.passed_on()
    begun = await asked.begin(headers)
    while True:
        await begun.write(body[:1] or b"\n")
        await asyncio.sleep(0.02)  # its pace, nothing that is waited for


def refusal(code: int, name: str, text: str, *, status: int = 500) -> Fault:
    """ClickHouse answers with an exception."""

    async def refused(asked: Asked) -> web.StreamResponse:
        await asked.request.read()
        return web.Response(
            status=status,
            text=f"Code: {code}. DB::Exception: {text} ({name}) (version 25.8.1.1)\n",
            headers={"X-ClickHouse-Exception-Code": str(code)},
        )

    return refused


def exception_in_the_answer(*, tagged: bool) -> Fault:
    """ClickHouse answered 200, and finds that it cannot go on; newer servers tag what follows."""

    async def interrupted(asked: Asked) -> web.StreamResponse:
        _, headers, body = await asked.passed_on()
        tag = {"X-ClickHouse-Exception-Tag": _TAG} if tagged else {}
        begun = await asked.begin({**headers, **tag})
        await begun.write(body[: len(body) // 2])
        said = b"Code: 241. DB::Exception: memory limit exceeded: would use 9.00 GiB (MEMORY_LIMIT_EXCEEDED)"
        if tagged:
            footer = f"\n{len(said) + 1} {_TAG}\r\n__exception__\r\n".encode()
            said = f"\r\n__exception__\r\n{_TAG}\r\n".encode() + said + footer
        await begun.write(said)
        await begun.write_eof()
        return begun

    return interrupted


too_many_parts = refusal(252, "TOO_MANY_PARTS", "Too many parts (3002). Merges are processing slower than inserts.")
out_of_memory = refusal(241, "MEMORY_LIMIT_EXCEEDED", "memory limit exceeded: would use 9.00 GiB")
too_many_queries = refusal(202, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many simultaneous queries. Maximum: 100.")
access_denied = refusal(
    497, "ACCESS_DENIED", "recorder: Not enough privileges. To execute this query, grant it.", status=403
)
replica_away = refusal(279, "ALL_CONNECTION_TRIES_FAILED", "Task is not finished on 1 of 2 hosts.")
wrong_password = refusal(
    *(516, "AUTHENTICATION_FAILED"),
    "default: Authentication failed: password is incorrect, or there is no user with such name.",
    status=403,
)


_NEVER_END = (answer_silent, answer_endless)


def client_seconds(request: pytest.FixtureRequest) -> int:
    """How long a client is to wait for an answer in a test with this ``fault``.

    A second where the fault is an answer that never ends; otherwise so long that a busy machine is no fault.
    """
    fault = request.getfixturevalue("fault") if "fault" in request.fixturenames else None
    return 1 if fault in _NEVER_END else 10


async def bad_gateway(asked: Asked) -> web.StreamResponse:
    """A proxy has nobody behind it."""
    await asked.request.read()
    return web.Response(status=502, text="<html><body><h1>502 Bad Gateway</h1></body></html>", content_type="text/html")
