"""Calls through an egress proxy."""

import asyncio
import ssl

import pytest

from tests.support.certificates import Authority
from tests.support.raw_target import (
    ELSEWHERE,
    OK,
    Handler,
    answering,
    call,
    failure_of,
    listening,
    request_from,
    silent,
)


def tunnelling(port: int, asked: list[bytes]) -> Handler:
    """A proxy: CONNECT leads to a port of loopback, whatever was asked for; other requests are answered at once."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        if not asked[-1].startswith(b"CONNECT"):
            writer.write(OK)
            return
        upstream, to_upstream = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        try:
            await asyncio.gather(_copy(reader, to_upstream), _copy(upstream, writer))
        finally:
            to_upstream.close()

    return handler


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


async def test_http_is_sent_to_the_proxy_which_looks_the_name_up() -> None:
    asked: list[bytes] = []
    async with listening(tunnelling(0, asked)) as proxy:
        answer = await call("http://target.example/hook", allowed=ELSEWHERE, proxy=proxy.url)
    assert answer.failure is None
    assert asked[0].startswith(b"POST http://target.example/hook HTTP/1.1\r\n")


async def test_credentials_of_the_proxy_go_with_the_request_over_http() -> None:
    asked: list[bytes] = []
    async with listening(tunnelling(0, asked)) as proxy:
        with_credentials = proxy.url.replace("//", "//name:secret@")
        answer = await call("http://target.example/hook", allowed=ELSEWHERE, proxy=with_credentials)
    assert answer.failure is None
    assert b"\r\nproxy-authorization: basic bmftztpzzwnyzxq=\r\n" in asked[0].lower()
    assert "secret" not in f"{answer}"
    assert "proxy-authorization" not in answer.request_headers


async def test_https_goes_through_the_proxy_unseen() -> None:
    authority = Authority()
    asked: list[bytes] = []
    seen: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await request_from(reader))
        writer.write(OK)

    async with (
        listening(handler, ssl=authority.server("target.example")) as target,
        listening(tunnelling(target.port, asked)) as proxy,
    ):
        answer = await call("https://target.example/hook", proxy=proxy.url, allowed=ELSEWHERE, tls=authority.trusting())
    assert answer.failure is None
    assert asked[0].startswith(b"CONNECT target.example:443 HTTP/1.1\r\n")
    assert b"s3cret" not in asked[0]
    assert b"s3cret" in seen[0]


async def test_https_through_the_proxy_is_verified() -> None:
    async with (
        listening(silent, ssl=Authority().server("target.example")) as target,
        listening(tunnelling(target.port, [])) as proxy,
    ):
        answer = await call("https://target.example/", proxy=proxy.url, tls=ssl.create_default_context())
    assert failure_of(answer)[0] == "tls"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "https://127.0.0.1/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://0xa9fea9fe/",
        "http://2130706433/",
        "https://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost/",
        "http://x.localhost:8080/",
    ],
)
async def test_addresses_that_are_not_public_are_not_asked_of_the_proxy(url: str) -> None:
    async with listening(answering(OK)) as proxy:
        answer = await call(url, allowed="192.168.0.0/16", proxy=proxy.url)
    assert failure_of(answer)[0] == "forbidden_target"
    assert proxy.connections == 0


async def test_what_goes_wrong_at_the_proxy_is_said_of_it() -> None:
    async with listening(silent) as proxy:
        pass
    refused = await call("https://target.example/", proxy=proxy.url)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    async with listening(handler) as proxy:
        forbidden = await call("https://target.example/", proxy=proxy.url)
    async with listening(silent) as proxy:
        hangs = await call("https://target.example/", proxy=proxy.url, timeout="300ms")
    assert failure_of(refused) == ("proxy", "the egress proxy cannot be used: connection refused")
    assert failure_of(forbidden) == ("proxy", "the egress proxy refused to connect: it answered 403")
    assert failure_of(hangs)[0] == "timeout"
