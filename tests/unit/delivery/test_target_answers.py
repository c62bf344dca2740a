"""Answers that are no answers: each is a failure that a person understands, and none takes longer than its time."""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from unittest.mock import Mock, patch

import orjson
import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from dispatcher.delivery.conclusion import conclude
from dispatcher.delivery.connections import Progress, _LimitedHandler
from dispatcher.delivery.outcome import encode_outcome
from dispatcher.delivery.record import Delivery
from dispatcher.delivery.schedule import Retry, RetrySchedule
from dispatcher.delivery.target import KEPT_OF_ANSWER, Answer, Target
from dispatcher.durations import parse_duration
from dispatcher.events.types import EventType
from tests.support.raw_target import (
    OK,
    REQUEST,
    Handler,
    answering,
    call,
    calling,
    dripping,
    failure_of,
    listening,
    silent,
    speaking_first,
    target_at,
)
from tests.support.webhooks import a_webhook

NOT_HTTP = "the answer is not valid HTTP: "
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "b'SSH-2.0-OpenSSH_9'"),
        (b"<html>HTTP/0.9 had no headers</html>\n", "Bad status line"),
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", "Bad status line"),  # HTTP/2's first frame
        (b"HTTP/2 200\r\n\r\n", "Bad status line"),
        (b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", "Invalid status code"),
        (b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n", r"Invalid HTTP header: b'a\x00b'"),
        (b"HTTP/1.1 200 OK\r\nX\xff y: b\r\nContent-Length: 0\r\n\r\n", "Invalid header token"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc", "Invalid character in Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabc", "Duplicate Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", "Content-Length overflow"),
        (CHUNKED + b"zz\r\nabc\r\n", "Invalid character in chunk size"),
        (CHUNKED + b"-1\r\nabc\r\n", "Invalid character in chunk size"),
        (CHUNKED + b"ffffffffffffffffffff\r\nabc\r\n", "Chunk size overflow"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 200 + b"\r\n", "Too many headers"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", "too long"),
        (b"HTTP/1.1 200 " + b"a" * 20_000 + b"\r\n\r\n", "too long"),
    ],
)
async def test_what_is_not_http(raw: bytes, words: str) -> None:
    async with listening(answering(raw, then="hang")) as target:
        answer = await call(target.url)
    reason, error = failure_of(answer)
    assert reason == "broken_answer"
    assert error.startswith(NOT_HTTP)
    assert words in error
    assert len(error) < 300
    assert "\n" not in error


@pytest.mark.parametrize(
    ("raw", "code", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\nok", 204, b""),
        (b"HTTP/1.1 204 No Content\n\nok", 204, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!!", 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok!!", 200, b"ok"),
        (CHUNKED + b"2\r\nok\r\n0\r\n\r\n!!", 200, b"ok"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nok", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n<html></html>", 304, b""),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 4\r\n\r\ngone for good", 410, b"gone"),
        (b"HTTP/1.1 429 Slow\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\nslow", 429, b""),
    ],
)
async def test_what_follows_an_answer_takes_nothing_from_it(raw: bytes, code: int, body: bytes) -> None:
    async with listening(answering(raw, then="hang")) as target, calling() as client:
        answers = [await client.call(target_at(target.url), REQUEST) for _ in range(2)]
        assert target.connections == 2
    for answer in answers:
        assert (answer.response_code, answer.response_body) == (code, body)
        assert (answer.failure is None) == (200 <= code < 300)
        assert answer.failure is None or answer.failure.reason != "broken_answer"
        assert answer.retry_after == ("60" if code == 429 else None)
    for cut in range(len(raw) + 1):
        handler = _LimitedHandler(asyncio.get_running_loop())
        handler.connection_made(Mock(asyncio.Transport))
        handler.begin(Progress())
        handler.expect_answer(KEPT_OF_ANSWER)
        for piece in filter(None, (raw[:cut], raw[cut:])):
            handler.data_received(piece)
        assert handler.should_close
        message, content = await handler.read()
        if message.code == 103:
            message, content = await handler.read()
        assert (message.code, await content.read()) == (code, body)


async def test_an_answer_whose_body_breaks_in_its_first_piece_keeps_its_status() -> None:
    async with listening(answering(b"HTTP/1.1 410 Gone\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")) as target:
        answer = await call(target.url)
    assert (failure_of(answer)[0], answer.response_code) == ("gone", 410)


async def test_heads_without_end_in_one_piece_cost_little() -> None:
    """A piece is parsed again where it was broken, but not head for head."""
    for filling in (b"\n", b"HTTP/1.1 102 Processing\r\n\r\n"):
        handler = _LimitedHandler(asyncio.get_running_loop())
        handler.connection_made(Mock(asyncio.Transport))
        handler.begin(Progress())
        handler.expect_answer(KEPT_OF_ANSWER)
        with patch.object(
            ResponseHandler, "data_received", autospec=True, side_effect=ResponseHandler.data_received
        ) as parsed:
            handler.data_received(filling * (200_000 // len(filling)) + b"no answer")
        assert parsed.call_count < 20
        assert isinstance(handler.exception(), HttpProcessingError)


@pytest.mark.parametrize("name", [b"Server", b"Retry-After", b"Content-Encoding", b"Location"])
async def test_a_header_that_is_no_utf_8_is_reported_like_any_other(name: bytes) -> None:
    raw = b"HTTP/1.1 503 \xe9\r\n%b: caf\xe9\r\nContent-Length: 2\r\n\r\nno" % name
    async with listening(answering(raw)) as target:
        answer = await call(target.url)
    assert failure_of(answer) == ("http_status", "the target answered 503")
    delivery = Delivery("wh", "org-contoso", EventType.ACTIVE_ALERT, "msg_1", 1, 1, 0, 0, "", b"{}")
    schedule = RetrySchedule((parse_duration("0s"), parse_duration("5s")))
    conclusion = conclude(delivery, Target.of(a_webhook()), answer, schedule, due_at=0, ended_at=0)
    outcome = orjson.loads(encode_outcome(conclusion.outcome))
    assert outcome["response_headers"][name.decode().lower()] == "caf\ufffd"
    assert conclusion.retry == Retry(2, parse_duration("5s"))


@pytest.mark.parametrize(
    "parts",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n", b"too short"),
        (CHUNKED + b"10\r\n", b"abc"),
        (CHUNKED, b"3\r\nabc\r\n"),
    ],
)
@pytest.mark.parametrize("then", ["close", "reset"])
async def test_a_body_that_breaks_off(parts: tuple[bytes, ...], then: str) -> None:
    async with listening(answering(*parts, then=then)) as target:
        answer = await call(target.url)
    reason, error = failure_of(answer)
    # Where a reset overtakes the answer, the client never sees that there was one.
    allowed = [("broken_answer", "the answer broke off before its end")]
    if then == "reset":
        allowed.append(("connection_reset", "the target reset the connection"))
    assert (reason, error) in allowed


async def test_chunks_that_break_once_the_body_is_being_read() -> None:
    async with listening(dripping(CHUNKED + b"3\r\nabc\r\n", b"zz\r\n", every=0.05)) as target:
        answer = await call(target.url)
    reason, error = failure_of(answer)
    assert reason == "broken_answer"
    assert "Invalid character in chunk size" in error
    assert answer.duration_ms < 4_000


async def test_no_answer() -> None:
    async with listening(answering(b"")) as target:
        closed = await call(target.url)
    async with listening(answering(b"", then="reset")) as target:
        reset = await call(target.url)
    async with listening(silent) as target:
        nothing = await call(target.url, timeout="300ms")
    assert failure_of(closed) == ("connection_closed", "the target closed the connection without an answer")
    assert failure_of(reset)[1] in {
        "the target reset the connection",
        "the target closed the connection without an answer",
    }
    assert failure_of(nothing) == ("timeout", "no answer within 300 ms")


async def test_an_answer_before_the_request() -> None:
    async with listening(speaking_first(OK)) as target:
        answer = await call(target.url)
    assert answer.response_code in (200, None)  # a server in a hurry; neither hangs nor raises


@pytest.mark.parametrize(
    "interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"]
)
async def test_interim_answers_are_passed_over(interim: bytes) -> None:
    async with listening(answering(interim, interim, OK)) as target:
        answer = await call(target.url)
    assert (answer.failure, answer.response_body) == (None, b"ok")


@pytest.mark.parametrize(
    "parts",
    [
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",),
        (CHUNKED + b"3;extension=", b"a"),
    ],
    ids=["interim answers", "a chunk's extension"],
)
async def test_what_never_becomes_an_answer_ends_early(parts: tuple[bytes, ...]) -> None:
    async with listening(answering(*parts, then="endless")) as target:
        answer = await call(target.url, timeout="60s")
    assert failure_of(answer) == ("broken_answer", "the target sent more than 512 KiB that are no answer")
    assert answer.duration_ms < 5_000


@pytest.mark.parametrize(
    "parts",
    [(b"HTTP/1.1 200 OK\r\n", b"X: a\r\n"), (b"HTTP/1.1 200 OK\r\nX: ", b"a"), (b"HTTP/1.1 200 ", b"a")],
    ids=["headers", "a header", "a status line"],
)
async def test_endless_heads_end_early(parts: tuple[bytes, ...]) -> None:
    async with listening(answering(*parts, then="endless")) as target:
        answer = await call(target.url, timeout="60s")
    assert failure_of(answer)[0] == "broken_answer"
    assert answer.duration_ms < 5_000


@pytest.mark.parametrize(
    ("trailer", "words"),
    [(b"X: a\r\n", "Too many headers received"), (b"a", "a header, or its first line, is too long")],
    ids=["trailers", "a trailer"],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_endless_trailers_end_early(trailer: bytes, words: str, at_once: bool) -> None:
    """Whether they come in one piece with the body or while the rest of it is being read."""
    body, many = CHUNKED + b"2\r\nok\r\n0\r\n", trailer * 30_000
    parts = (body + many, trailer) if at_once else (body, many, trailer)
    async with listening(answering(*parts, then="endless")) as target:
        answer = await call(target.url, timeout="60s")
    assert failure_of(answer) == ("broken_answer", f"the answer is not valid HTTP: {words}")
    assert answer.duration_ms < 5_000


BEGAN, ANSWERED = "the target began to answer, but its answer's headers", "the target answered 200, but its answer"
DRIPS = [
    (b"HTTP/1.1 200 OK\r\nX: ", b"a", BEGAN),
    (b"", b"HTTP/1.1 102 Processing\r\n\r\n", BEGAN),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"a", ANSWERED),
    (CHUNKED, b"1\r\na\r\n", ANSWERED),
    (CHUNKED + b"0\r\n", b"X: a\r\n", ANSWERED),
    (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"a", ANSWERED),
]


async def called(handler: Handler) -> Answer:
    async with listening(handler) as target:
        return await call(target.url, timeout="2s")


async def test_what_drips_ends_at_the_time_out() -> None:
    """All at once: each takes its time, and so much that the beginnings come in time on a busy machine."""
    answers = await asyncio.gather(*(called(dripping(head, drop, every=0.05)) for head, drop, _ in DRIPS))
    for answer, (head, _, words) in zip(answers, DRIPS, strict=True):
        assert failure_of(answer) == ("timeout", f"{words} did not end within 2 s"), head
        assert 2_000 <= answer.duration_ms < 10_000


async def test_a_failure_keeps_its_status_when_its_body_hangs() -> None:
    answer = await called(answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\n", then="hang"))
    assert failure_of(answer) == ("http_status", "the target answered 503")


@pytest.mark.parametrize(
    ("head", "endless"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n", b"x"),
        (b"HTTP/1.0 200 OK\r\n\r\n", b"x"),
        (CHUNKED, b"1\r\nx\r\n"),
        (CHUNKED + b"fffffffffff\r\n", b"x"),
    ],
)
async def test_an_endless_answer_is_a_success_of_which_the_start_is_kept(head: bytes, endless: bytes) -> None:
    async with listening(answering(head, endless, then="endless")) as target:
        answer = await call(target.url)
    assert answer.failure is None
    assert answer.response_body == b"x" * KEPT_OF_ANSWER
    assert answer.response_truncated


def deflate(content: bytes) -> bytes:
    return zlib.compress(content)


@pytest.mark.parametrize(
    ("compress", "encoding"), [(gzip.compress, b"gzip"), (deflate, b"deflate"), (deflate, b"GZIP")]
)
async def test_a_compressed_bomb_is_cut(compress: Callable[[bytes], bytes], encoding: bytes) -> None:
    bomb = compress(b"0" * 10_000_000)
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (encoding, len(bomb))
    async with listening(answering(raw + bomb)) as target:
        answer = await call(target.url)
    assert answer.failure is None
    assert answer.response_body == b"0" * KEPT_OF_ANSWER
    assert answer.response_truncated


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"zstd", b"gzip, gzip", b"nonsense"])
async def test_what_cannot_be_decompressed_stays_as_it_is(encoding: bytes) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: 5\r\n\r\n\x1b\x00\xf8\xff\x01" % encoding
    async with listening(answering(raw)) as target:
        answer = await call(target.url)
    assert (answer.failure, answer.response_body) == (None, b"\x1b\x00\xf8\xff\x01")


async def test_connection_refused() -> None:
    async with listening(silent) as target:
        pass
    assert failure_of(await call(target.url)) == ("connection_refused", "connection refused")
