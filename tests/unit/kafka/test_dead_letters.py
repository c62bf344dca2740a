import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from dispatcher.kafka.clients import MAX_RECORD_BYTES
from dispatcher.kafka.dead_letter_box import Letter, Selection, obstacle
from dispatcher.kafka.dead_letters import DeadLetters, NotADeadLetter, Origin, read_dead_letter
from dispatcher.kafka.topics import load_topics
from dispatcher.settings import default_topics_file

TOPICS = load_topics(default_topics_file())


class ARecord:
    """Consumed, from ``webhooks.deliveries`` unless told otherwise."""

    def __init__(self, value: bytes | None, headers: list[tuple[str, bytes]], topic: str = TOPICS.deliveries) -> None:
        self.topic = topic
        self.partition = 3
        self.offset = 17
        self.timestamp = 1_795_000_000_000
        self.key: bytes | None = b"wh"
        self.value = value
        self.headers: Sequence[tuple[str, bytes]] = headers


class Sent:
    """Stands for the producer: keeps what it is given, if it is not too large, as a consumer would find it."""

    def __init__(self, largest: int = MAX_RECORD_BYTES) -> None:
        self.records: list[ARecord] = []
        self._largest = largest

    async def send(self, topic: str, *, value: bytes | None, key: bytes | None, headers: Any) -> asyncio.Future[None]:
        record = ARecord(value, headers, topic)
        record.key = key
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if len(value or b"") + sum(len(content) for _, content in headers) > self._largest:
            acknowledged.set_exception(MessageSizeTooLargeError())
        else:
            self.records.append(record)
            acknowledged.set_result(None)
        return acknowledged


async def set_aside(
    record: ARecord, reason: str = "odd", *, largest: int = MAX_RECORD_BYTES, **options: bool
) -> ARecord:
    sent = Sent(largest)
    await DeadLetters(sent, "letters").send(record, reason, **options)
    return sent.records[0]


async def test_a_dead_letter_reads_back_as_it_came_whatever_headers_it_brought() -> None:
    own = [("v", b"1"), ("dead-letter-reason", b"mine"), ("dead-letter-topic", b"mine"), ("v", b"2")]
    letter = read_dead_letter(await set_aside(ARecord(b"{}", own)))
    assert letter.reason == "odd"
    assert letter.origin == Origin(TOPICS.deliveries, 3, 17, 1_795_000_000_000)
    assert (letter.key, letter.value, letter.headers, letter.omitted) == (b"wh", b"{}", tuple(own), "")


async def test_what_is_too_large_beside_its_headers_is_left_out() -> None:
    letter = read_dead_letter(await set_aside(ARecord(b"x" * MAX_RECORD_BYTES, [("v", b"1")])))
    assert (letter.value, letter.headers, letter.omitted) == (None, (("v", b"1"),), "value")
    letter = read_dead_letter(await set_aside(ARecord(b"x", [("v", b"1" * MAX_RECORD_BYTES)])))
    assert (letter.key, letter.value, letter.headers, letter.omitted) == (None, b"", (), "key, value and headers")
    letter = read_dead_letter(await set_aside(ARecord(b"secret", []), with_value=False))
    assert (letter.value, letter.omitted) == (None, "value")


async def test_what_the_broker_finds_too_large_is_left_out_and_cannot_be_sent_again() -> None:
    own = [("v", b"1" * 100)]
    letter = read_dead_letter(await set_aside(ARecord(b"x" * 1_000, own), largest=500))
    assert (letter.key, letter.value, letter.headers, letter.omitted) == (b"wh", None, tuple(own), "value")
    letter = read_dead_letter(await set_aside(ARecord(b"x" * 1_000, own), largest=120))
    assert (letter.key, letter.value, letter.headers, letter.omitted) == (None, b"", (), "key, value and headers")


async def test_what_no_broker_takes_is_not_set_aside() -> None:
    with pytest.raises(MessageSizeTooLargeError):
        await set_aside(ARecord(b"x", []), largest=10)


async def test_a_record_of_nothing_can_be_set_aside() -> None:
    record = ARecord(None, [])
    record.key = None
    assert read_dead_letter(await set_aside(record)).value == b""


async def test_a_reason_is_bounded() -> None:
    letter = read_dead_letter(await set_aside(ARecord(b"", []), "why " * 10_000))
    assert len(letter.reason) == 1_000


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("dead-letter-reason", b"why")],
        [("dead-letter-reason", b"why"), ("dead-letter-topic", b"t"), ("dead-letter-partition", b"x")],
        [("dead-letter-reason", None)],
        [("dead-letter-reason", b"why"), ("dead-letter-topic", None)],
        [
            ("dead-letter-reason", b"why"),
            ("dead-letter-topic", b"\x1b[2J"),
            ("dead-letter-partition", b"0"),
            ("dead-letter-offset", b"0"),
            ("dead-letter-time", b"0"),
        ],
    ],
)
def test_what_somebody_else_put_there_is_no_dead_letter(headers: Any) -> None:
    with pytest.raises(NotADeadLetter):
        read_dead_letter(ARecord(b"", headers))


def a_letter(topic: str = TOPICS.deliveries, partition: int = 3, **others: Any) -> Letter:
    members: dict[str, Any] = {
        "place": (0, 12),
        "time": 0,
        "reason": "format b'99'",
        "origin": Origin(topic, partition, 17, 0),
        "key": "wh",
        "value": "{}",
        "size": 2,
        "omitted": "",
        **others,
    }
    return Letter(**members)


@pytest.mark.parametrize(
    ("selection", "included"),
    [
        (Selection(), True),
        (Selection(topic="webhooks.deliveries"), True),
        (Selection(topic="webhooks.parked"), False),
        (Selection(reason="FORMAT"), True),
        (Selection(reason="other"), False),
        (Selection(places=[(0, 12)]), True),
        (Selection(places=[(1, 12)]), False),
        (Selection(topic="webhooks.deliveries", reason="other"), False),
    ],
)
def test_a_selection_includes_what_fulfils_all_of_it(selection: Selection, included: bool) -> None:
    assert selection.includes(a_letter()) is included


def test_what_was_sent_again_is_not_meant_unless_it_is_asked_for() -> None:
    assert not Selection(places=[(0, 12)]).includes(a_letter(replayed=True))
    assert Selection(replayed_too=True).includes(a_letter(replayed=True))
    assert Selection(topic="webhooks.deliveries").includes(a_letter(topic="x.webhooks.deliveries"), "x.")


@pytest.mark.parametrize(
    ("letter", "why"),
    [
        (a_letter(), None),
        (a_letter(partition=12), "has no partition 12"),
        (a_letter(topic="billing"), "not a topic of this"),
        (a_letter(topic=TOPICS.config), "whenever a portal starts"),
        (a_letter(topic=TOPICS.resources), "whenever a portal starts"),
        (a_letter(topic=TOPICS.audit), "whenever a portal starts"),
        (a_letter(omitted="value"), "its value did not fit"),
        (a_letter(origin=None), "format b'99'"),
    ],
)
def test_what_cannot_be_sent_again(letter: Letter, why: str | None) -> None:
    found = obstacle(letter, TOPICS, {TOPICS.deliveries: 12})
    assert found == why if why is None else why in (found or "")
