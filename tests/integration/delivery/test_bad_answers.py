"""Answers that are none, through a sender, a relay and a recorder: each is a recorded attempt, and tried again."""

import gzip
from contextlib import AsyncExitStack

import pytest

from dispatcher.kafka.topics import Topics
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.recorder import Recorder
from tests.support.clickhouse import a_database
from tests.support.delivering import Delivering
from tests.support.kafka import MakeTopics
from tests.support.raw_target import answering, listening
from tests.support.waiting import eventually

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(b"0" * 10_000_000)

FAILURES = {
    "no HTTP": (b"SSH-2.0-OpenSSH_9\r\n\r\n", "the answer is not valid HTTP"),
    "a header of invalid bytes": (OK + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n", "the answer is not valid HTTP"),
    "no UTF-8": (b"HTTP/1.1 503 \xe9\r\nServer: caf\xe9\r\nContent-Length: 0\r\n\r\n", "the target answered 503"),
    "two lengths": (OK + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabc", "the answer is not valid HTTP"),
    "a body too short": (OK + b"Content-Length: 50\r\n\r\nshort", "the answer broke off before its end"),
    "a broken chunk": (CHUNKED + b"zz\r\nabc\r\n", "the answer is not valid HTTP"),
    "a chunk that breaks off": (CHUNKED + b"10\r\nabc", "the answer broke off before its end"),
    "too many headers": (OK + b"X: a\r\n" * 200 + b"\r\n", "the answer is not valid HTTP"),
    "trailers without end": (
        CHUNKED + b"2\r\nok\r\n0\r\n" + b"X: a\r\n" * 200_000,
        "the answer is not valid HTTP: Too many headers received",
    ),
    "nothing": (b"", "the target closed the connection without an answer"),
    "elsewhere": (
        b"HTTP/1.1 302 Found\r\nLocation: /x\xff\r\nContent-Length: 0\r\n\r\n",
        "redirect (302) to /x",
    ),
    "hidden failure": (
        b"HTTP/1.1 500 \x1b[31mred\r\nContent-Length: 5\r\n\r\n\x00\xff\xfe<b",
        "the target answered 500",
    ),
}
COMPRESSED = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB)
SUCCESSES = {
    "a bomb": COMPRESSED + BOMB,
    "interim": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n",
}


@pytest.fixture
async def topics(make_topics: MakeTopics) -> Topics:
    return await make_topics(("0s", "1s"))


async def test_each_is_a_recorded_attempt(delivering: Delivering, engine: str) -> None:
    names = [*FAILURES, *SUCCESSES]
    store = ClickHouse(engine, database=a_database())
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        for number, raw in enumerate([*(raw for raw, _ in FAILURES.values()), *SUCCESSES.values()]):
            target = await stack.enter_async_context(listening(answering(raw)))
            await delivering.webhook(f"wh-{number}", target.url)
        await delivering.sender()
        await delivering.relay()
        recorder = Recorder(delivering.clients, delivering.topics, store)
        await recorder.start()
        stack.push_async_callback(recorder.stop)
        for number in range(len(names)):
            await delivering.deliver(f"wh-{number}", f"msg_{number}")
        attempts = 2 * len(FAILURES) + len(SUCCESSES)
        outcomes = await delivering.outcomes(attempts)

        async def rows() -> list[dict[str, object]]:
            found = await store.query("SELECT webhook_id, attempt, toString(status) AS status, error FROM attempts")
            assert len(found) == attempts
            assert {row["status"] for row in found} == {"failed", "successful"}
            return [dict(row) for row in found]

        recorded = await eventually(rows, timeout=20)
    by_webhook = {(row["webhook_id"], row["attempt"]): row for row in recorded}
    for number, name in enumerate(names):
        made = sorted(each["attempt"] for each in outcomes if each["webhook_id"] == f"wh-{number}")
        assert made == ([1, 2] if name in FAILURES else [1]), name
        for attempt in made:
            row = by_webhook[f"wh-{number}", attempt]
            if name in FAILURES:
                assert str(row["error"]).startswith(FAILURES[name][1]), (name, row["error"])
                assert str(row["error"]).isprintable(), name
            else:
                assert (row["status"], row["error"]) == ("successful", ""), name
