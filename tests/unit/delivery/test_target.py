import asyncio
import gzip
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import aiohttp
import pytest

from dispatcher.delivery.guard import TargetGuard
from dispatcher.delivery.target import KEPT_OF_ANSWER, Answer, Request, Target, TargetClient, retry_after_of
from dispatcher.events.types import EventType
from dispatcher.settings import Settings
from dispatcher.webhooks.target_headers import MASK
from tests.support.webhooks import a_webhook

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
REQUEST = Request("msg_1", EventType.ACTIVE_ALERT, 2, b'{"a":"\xc3\xa4"}')


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[str]:
    handling: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handling.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}/hook"
    finally:
        server.close()
        await asyncio.gather(*handling)


async def call(url: str, timeout: str = "5s", allowed: str = "127.0.0.0/8") -> Answer:
    settings = Settings(request_timeout=timeout, _env_file=None)
    client = TargetClient(settings, TargetGuard([ip_network(allowed)]))
    try:
        return await client.call(
            Target.of(a_webhook(target_url=url, headers={"Authorization": "Bearer s3cret"})), REQUEST
        )
    finally:
        await client.close()


def answering(raw: bytes, *, then: str = "close") -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await reader.readuntil(REQUEST.body)
        writer.write(raw)
        if then == "hang":
            await reader.read()
        elif then == "endless":
            while True:
                writer.write(b"x" * 10_000)
                await writer.drain()

    return handler


def speaking_first(raw: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await reader.read(1)

    return handler


async def test_what_a_target_receives() -> None:
    received: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        received.extend([head, await reader.readexactly(len(REQUEST.body))])
        writer.write(b"HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\n\r\n")

    async with listening(handler) as url:
        answer = await call(url)
    assert answer.failure is None
    assert answer.response_code == 204
    head = received[0].decode().lower()
    assert head.startswith("post /hook http/1.1\r\n")
    for line in ("content-type: application/json", "webhook-id: msg_1", "webhook-event: active_alert"):
        assert line in head
    assert "webhook-attempt: 2" in head
    assert "authorization: bearer s3cret" in head
    assert received[1] == REQUEST.body
    assert answer.request_headers["authorization"] == MASK
    assert answer.request_headers["webhook-id"] == "msg_1"
    assert answer.response_headers["set-cookie"] == MASK


@pytest.mark.parametrize(
    ("raw", "then", "reason", "words"),
    [
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno", "close", "http_status", "answered 500"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://x.example/y\r\n\r\n", "close", "redirect", "x.example"),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", "close", "gone", "410"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "close", "broken_answer", "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "hang", "timeout", "within 300ms"),
        (b"HTTP/1.1 200 OK\r\n", "hang", "timeout", "within 300ms"),
        (b"", "close", "connection_closed", "without an answer"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "close", "broken_answer", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n", "close", "broken_answer", "not valid HTTP"),
    ],
)
async def test_answers_that_are_failures(raw: bytes, then: str, reason: str, words: str) -> None:
    async with listening(answering(raw, then=then)) as url:
        answer = await call(url, timeout="300ms")
    assert answer.failure is not None
    assert answer.failure.reason == reason
    assert words in answer.failure.error


async def test_an_endless_answer_is_a_success_of_which_the_start_is_kept() -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nConnection: close\r\n\r\n"
    async with listening(answering(raw, then="endless")) as url:
        answer = await call(url)
    assert answer.failure is None
    assert answer.response_body == b"x" * KEPT_OF_ANSWER
    assert answer.response_truncated


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
async def test_a_compressed_bomb_is_cut(compress: Callable[[bytes], bytes]) -> None:
    bomb = compress(b"0" * 10_000_000)
    encoding = b"gzip" if compress is gzip.compress else b"deflate"
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (encoding, len(bomb))
    async with listening(answering(raw + bomb)) as url:
        answer = await call(url)
    assert answer.failure is None
    assert answer.response_body == b"0" * KEPT_OF_ANSWER
    assert answer.response_truncated


async def test_connections_that_fail() -> None:
    async with listening(answering(b"")) as url:
        pass
    refused = await call(url)
    assert refused.failure is not None
    assert (refused.failure.reason, refused.failure.error) == ("connection_refused", "connection refused")

    unresolved = await call("http://no-such-host.invalid/")
    assert unresolved.failure is not None
    assert unresolved.failure.reason == "dns"

    async with listening(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as url:
        forbidden = await call(url, allowed="10.0.0.0/8")
    async with listening(speaking_first(b"220 mail.example ESMTP\r\n")) as url:
        tls = await call(url.replace("http:", "https:"))
    assert forbidden.failure is not None
    assert forbidden.failure.reason == "forbidden_target"
    assert forbidden.failure.error.endswith("not permitted: 127.0.0.1")
    assert tls.failure is not None
    assert tls.failure.reason == "tls"


async def test_a_name_with_several_addresses_is_refused_for_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_: object, **__: object) -> list[dict[str, object]]:
        return [
            {"hostname": "two.example", "host": host, "port": 9, "family": family, "proto": 0, "flags": 0}
            for host, family in [("127.0.0.1", socket.AF_INET), ("10.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]
        ]

    monkeypatch.setattr(aiohttp.DefaultResolver, "resolve", resolve)
    for allowed, reason in [("192.168.0.0/16", "forbidden_target"), ("127.0.0.0/8", "forbidden_target")]:
        answer = await call("http://two.example:9/", allowed=allowed)
        assert answer.failure is not None
        assert answer.failure.reason == reason


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f.1", "2130706433", "127.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_every_spelling_of_loopback_is_refused(host: str) -> None:
    answer = await call(f"http://{host}:9/", allowed="10.0.0.0/8")
    assert answer.failure is not None
    assert answer.failure.reason in ("forbidden_target", "invalid_url")  # the HTTP client refuses some spellings itself


@pytest.mark.parametrize(
    ("code", "value", "seconds"),
    [
        (429, "7", 7),
        (503, "Mon, 23 Nov 2026 12:00:30 GMT", 30),
        (503, "Mon, 23 Nov 2026 11:00:00 GMT", 0),
        (429, "soon", None),
        (429, "-5", None),
        (500, "7", None),
        (429, None, None),
        (429, "9" * 50, 10**8),
    ],
)
def test_retry_after(code: int, value: str | None, seconds: int | None) -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
    wish = retry_after_of(Answer(None, 0, response_code=code, retry_after=value), now)
    assert wish == (None if seconds is None else timedelta(seconds=seconds))
