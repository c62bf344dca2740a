"""A call of a target that behaves, statuses, and what a target wishes."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import http_writer
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

from dispatcher.delivery.connections import Address
from dispatcher.delivery.target import Answer, retry_after_of
from dispatcher.webhooks.target_headers import MASK
from tests.support.raw_target import (
    LOOPBACK,
    OK,
    REQUEST,
    answering,
    call,
    calling,
    failure_of,
    listening,
    request_from,
    target_at,
)


async def test_what_a_target_receives() -> None:
    received: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await request_from(reader))
        writer.write(b"HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\n\r\n")

    async with listening(handler) as target:
        answer = await call(target.url)
    assert answer.failure is None
    assert answer.response_code == 204
    head, _, body = received[0].partition(b"\r\n\r\n")
    assert head.lower().startswith(b"post /hook http/1.1\r\n")
    for line in ("content-type: application/json", "webhook-id: msg_1", "webhook-event: active_alert"):
        assert line in head.decode().lower()
    assert b"webhook-attempt: 2" in head
    assert b"Authorization: Bearer s3cret" in head
    assert b"accept-encoding" not in head.lower()
    assert body == REQUEST.body
    assert answer.request_headers["authorization"] == MASK
    assert answer.request_headers["webhook-id"] == "msg_1"
    assert answer.response_headers["set-cookie"] == MASK


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "204 No Content", "299 Fine"])
async def test_every_2xx_is_a_success(status: str) -> None:
    async with listening(answering(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())) as target:
        answer = await call(target.url)
    assert (answer.failure, answer.response_code) == (None, int(status[:3]))


@pytest.mark.parametrize(
    ("head", "reason", "words"),
    [
        ("500 Oops", "http_status", "the target answered 500"),
        ("404 Not Found", "http_status", "the target answered 404"),
        ("410 Gone", "gone", "the target answered 410 Gone"),
        ("304 Not Modified", "http_status", "the target answered 304"),
        ("302 Found", "http_status", "the target answered 302"),
        ("302 Found\r\nLocation: http://x.example/y", "redirect", "redirect (302) to http://x.example/y not followed"),
        ("308 Moved\r\nLocation: /y\x09z", "redirect", "redirect (308) to /y z not followed"),
        ("101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade", "http_status", "the target answered 101"),
        ("999 What", "http_status", "the target answered 999"),
    ],
)
async def test_every_other_status_is_a_failure(head: str, reason: str, words: str) -> None:
    async with listening(answering(f"HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n".encode())) as target:
        answer = await call(target.url)
    assert failure_of(answer) == (reason, words)
    assert answer.response_code == int(head[:3])


async def test_a_redirect_leads_nowhere() -> None:
    async with listening(answering(OK)) as inside:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {inside.url}\r\nContent-Length: 0\r\n\r\n".encode()
        async with listening(answering(moved)) as target:
            answer = await call(target.url)
        assert failure_of(answer)[0] == "redirect"
        assert inside.connections == 0


async def test_what_a_target_echoes_of_its_secrets_is_masked() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await request_from(reader)).partition(b"\r\n\r\n")[0]
        echoed = next(each for each in head.split(b"\r\n") if each.lower().startswith(b"authorization"))
        writer.write(b"HTTP/1.1 302 Found\r\nX-Echo: %b\r\n" % echoed)
        writer.write(b"Location: https://x.example/?got=Bearer s3cret\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(echoed), echoed))

    async with listening(handler) as target:
        answer = await call(target.url)
    shown = f"{answer}{answer.response_body.decode()}"
    assert "s3cret" not in shown
    assert f"Authorization: {MASK}" in shown
    assert answer.failure is not None
    assert MASK in answer.failure.error


async def test_the_time_holds_for_the_whole_attempt() -> None:
    async with listening(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nso far", then="hang")) as target:
        answer = await call(target.url, timeout="2s", allowed=LOOPBACK)
    assert failure_of(answer) == ("timeout", "the target answered 200, but its answer did not end within 2 s")
    assert 2_000 <= answer.duration_ms < 10_000


@pytest.mark.parametrize("character", ["\r\n", "\n", "\r", "\0", "\x7f", "\x1b"])
async def test_no_identifier_adds_a_header(character: str) -> None:
    async with listening(answering(OK)) as target, calling() as client:
        answer = await client.call(target_at(target.url), REQUEST._replace(message_id=f"msg{character}x-admin: 1"))
        assert failure_of(answer)[0] == "broken_answer"
        answer = await client.call(
            target_at(target.url, headers={"X-Tab": "a\tb"}), REQUEST._replace(message_id="ä\xa0")
        )
        assert answer.failure is None


@given(
    st.dictionaries(
        st.text("aX-", min_size=1, max_size=4), st.text("aé \t\n\0\x7f\x85\xa0", max_size=4), min_size=1, max_size=3
    ),
    st.sampled_from([None, URL("http://proxy.example:8080")]),
)
async def test_the_head_is_as_aiohttp_writes_it(headers: dict[str, str], proxy: URL | None) -> None:
    address = Address(URL("http://x.example:81/hook?a=b"), proxy)
    fields = CIMultiDict({"host": "x.example:81"})
    if proxy is not None:
        address.request.headers["proxy-authorization"] = fields["proxy-authorization"] = "Basic bmFtZTpzZWNyZXQ="
    fields.extend(headers)
    fields["content-length"] = "7"
    line = f"POST {'http://x.example:81' if proxy is not None else ''}/hook?a=b HTTP/1.1"
    try:
        expected = http_writer._serialize_headers(line, fields)
    except ValueError:
        with pytest.raises(ValueError, match="control character"):
            address.head(headers, 7)
    else:
        assert address.head(headers, 7) == expected


@pytest.fixture
def in_tokyo() -> Iterator[None]:
    """The machine's time zone is nobody else's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("code", "value", "seconds"),
    [
        (429, "7", 7),
        (503, "Mon, 23 Nov 2026 12:00:30 GMT", 30),
        (503, "Mon, 23 Nov 2026 11:00:00 GMT", 0),
        (503, "Monday, 23-Nov-26 12:00:30 GMT", 30),
        (503, "Mon Nov 23 12:00:30 2026", 30),
        (503, "Mon Nov  2 12:00:30 2026", 0),
        (429, "0000000120", 120),
        (429, "0000000000", 0),
        (429, "soon", None),
        (429, "-5", None),
        (500, "7", None),
        (429, None, None),
        (429, "9" * 50, 10**8),
    ],
)
@pytest.mark.usefixtures("in_tokyo")
def test_retry_after(code: int, value: str | None, seconds: int | None) -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
    wish = retry_after_of(Answer(None, 0, response_code=code, retry_after=value), now)
    assert wish == (None if seconds is None else timedelta(seconds=seconds))
