"""TLS is verified always, and what is wrong with it is said in words."""

import asyncio
import ssl
from datetime import timedelta

import pytest

from tests.support.certificates import Authority
from tests.support.raw_target import (
    OK,
    answering,
    call,
    failure_of,
    listening,
    request_from,
    silent,
    speaking_first,
)

HERE = "127.0.0.1"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def test_a_certificate_that_is_right_is_accepted(authority: Authority) -> None:
    async with listening(answering(OK), ssl=authority.server(HERE)) as target:
        answer = await call(target.https, tls=authority.trusting())
    assert answer.failure is None


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ({"valid": (timedelta(days=-2), timedelta(days=-1))}, "certificate expired"),
        ({"valid": (timedelta(days=1), timedelta(days=2))}, "certificate not valid yet"),
        ({"self_signed": True}, "certificate self-signed: it is not trusted"),
    ],
    ids=["expired", "not yet valid", "self-signed"],
)
async def test_certificates_that_are_refused(authority: Authority, server: dict[str, object], words: str) -> None:
    async with listening(silent, ssl=authority.server(HERE, **server)) as target:  # type: ignore[arg-type]
        answer = await call(target.https, tls=authority.trusting())
    assert failure_of(answer) == ("tls", words)


@pytest.mark.parametrize(
    ("host", "url", "words"),
    [("other.example", HERE, "certificate for another address"), (HERE, "localhost", "certificate for another host")],
)
async def test_a_certificate_for_another_host(authority: Authority, host: str, url: str, words: str) -> None:
    async with listening(silent, ssl=authority.server(host)) as target:
        answer = await call(f"https://{url}:{target.port}/", tls=authority.trusting())
    assert failure_of(answer) == ("tls", words)


async def test_an_authority_that_is_not_trusted(authority: Authority) -> None:
    async with listening(silent, ssl=Authority("Somebody else").server(HERE)) as target:
        unknown = await call(target.https, tls=authority.trusting())
    async with listening(silent, ssl=authority.server(HERE)) as target:
        by_default = await call(target.https)
    for answer in (unknown, by_default):
        reason, words = failure_of(answer)
        assert reason == "tls"
        assert "issuer that is not trusted" in words


async def test_old_versions_of_tls_are_refused() -> None:
    assert ssl.create_default_context().minimum_version >= ssl.TLSVersion.TLSv1_2
    async with listening(speaking_first(bytes.fromhex("15030100020246"))) as target:  # alert: protocol version
        answer = await call(target.https)
    assert failure_of(answer) == (
        "tls",
        "the target speaks only versions of TLS that are too old: it needs TLS 1.2 or newer",
    )


async def test_https_where_http_is_spoken() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(5)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    not_tls = ("tls", "the target does not speak TLS: its URL starts with http://, or its port is another")
    async with listening(handler) as target:
        assert failure_of(await call(target.https)) == not_tls
    async with listening(speaking_first(b"220 mail.example ESMTP\r\n")) as target:
        assert failure_of(await call(target.https)) == not_tls


async def test_http_where_https_is_spoken() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_from(reader)
        writer.write(bytes.fromhex("15030300020246"))  # the alert that servers answer with

    async with listening(handler) as target:
        answer = await call(target.url)
    assert failure_of(answer) == ("broken_answer", "the target speaks TLS: its URL starts with https://")


async def test_a_handshake_that_hangs_ends_at_the_time_out() -> None:
    async with listening(silent) as target:
        answer = await call(target.https, timeout="300ms")
    assert failure_of(answer) == ("timeout", "no connection within 300 ms")
    assert answer.duration_ms < 1_500


async def test_a_handshake_that_is_broken_off() -> None:
    async def handler(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(5)

    async with listening(handler) as target:
        reason, words = failure_of(await call(target.https))
    assert reason in {"tls", "connection_reset", "connection_closed"}
    assert "the target" in words
