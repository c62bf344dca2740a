"""Targets on loopback that speak raw bytes, and a client that calls them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from aiohttp.abc import AbstractResolver

from dispatcher.delivery.guard import TargetGuard
from dispatcher.delivery.target import Answer, Request, Target, TargetClient
from dispatcher.events.types import EventType
from dispatcher.settings import Settings
from tests.support.webhooks import a_webhook

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
REQUEST = Request("msg_1", EventType.ACTIVE_ALERT, 2, b'{"a":"\xc3\xa4"}')
LOOPBACK = "127.0.0.0/8"
ELSEWHERE = "10.0.0.0/8"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Listener:
    """What a raw target listens on, and how often somebody connected."""

    port: int
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def https(self) -> str:
        return f"https://127.0.0.1:{self.port}/hook"


@asynccontextmanager
async def listening(handler: Handler, host: str = "127.0.0.1", **options: Any) -> AsyncIterator[Listener]:
    """Each connection is the handler's, which ends when the client is gone or the test is over."""
    handling: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handling.add(task)
        listener.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await handler(reader, writer)
        writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, host, 0, **options)
    listener = Listener(server.sockets[0].getsockname()[1])
    try:
        yield listener
    finally:
        server.close()
        for task in handling:
            task.cancel()
        await asyncio.gather(*handling)


async def request_from(reader: asyncio.StreamReader) -> bytes:
    """Read a request to its end; the whole of it."""
    return await reader.readuntil(REQUEST.body[-1:])  # of any object that holds none


def answering(*parts: bytes, then: str = "close") -> Handler:
    """Answers with these bytes, each part sent by itself; then closes, hangs or repeats the last part without end."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_from(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
        if then == "hang":
            await reader.read()
        elif then == "endless":
            some = parts[-1] * (64 * 1024 // len(parts[-1]))
            while True:
                writer.write(some)
                await writer.drain()
        elif then == "reset":
            writer.transport.abort()

    return handler


def dripping(head: bytes, drop: bytes, every: float) -> Handler:
    """Answers with the head and then a drop every so many seconds."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_from(reader)
        writer.write(head)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(every)

    return handler


def speaking_first(raw: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await reader.read(1)

    return handler


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Accepts, reads and never says anything."""
    await reader.read()


@asynccontextmanager
async def calling(
    timeout: str = "5s",
    allowed: str = LOOPBACK,
    tls: ssl.SSLContext | None = None,
    resolver: AbstractResolver | None = None,
    proxy: str | None = None,
) -> AsyncIterator[TargetClient]:
    """A client that may call ``allowed`` networks."""
    settings = Settings(request_timeout=timeout, egress_proxy=proxy, _env_file=None)
    client = TargetClient(settings, TargetGuard([ip_network(allowed)]), tls=tls, resolver=resolver)
    try:
        yield client
    finally:
        await client.close()


def target_at(url: str, **values: Any) -> Target:
    return Target.of(a_webhook(target_url=url, **values))


async def call(url: str, **options: Any) -> Answer:
    """One call by a client of its own, with a secret header."""
    async with calling(**options) as client:
        return await client.call(target_at(url, headers={"Authorization": "Bearer s3cret"}), REQUEST)


def failure_of(answer: Answer) -> tuple[str, str]:
    """The reason and the words; an AssertionError for a success."""
    assert answer.failure is not None, answer
    return answer.failure.reason, answer.failure.error
