"""Sessions that somebody ended are over at every portal, and known for as long as they would have lasted."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka.errors import KafkaConnectionError

from dispatcher.portal import ended_sessions
from dispatcher.portal.ended_sessions import EndedSessions, SessionEnd
from tests.support.waiting import eventually

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass
class Record:
    value: bytes | None
    offset: int = 0


@dataclass
class Kafka:
    """Stands for the producer: keeps what it is given, refuses it, or answers nothing."""

    away: bool = False
    hangs: bool = False
    asked: int = 0
    records: list[Record] = field(default_factory=list)

    async def send_and_wait(self, topic: str, value: bytes, *, key: bytes, partition: int) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise KafkaConnectionError
        assert (topic, key, partition) == ("sessions", json.loads(value)["session"].encode(), 0)
        self.records.append(Record(value))


@dataclass
class Clock:
    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ended(kafka: Kafka, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EndedSessions]:
    monkeypatch.setattr(ended_sessions, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(ended_sessions, "_AGAIN_AFTER_SECONDS", 0)
    ended = EndedSessions(kafka, "sessions", clock)
    yield ended
    await ended.stop()


async def test_what_one_portal_ends_is_over_at_another(ended: EndedSessions, kafka: Kafka, clock: Clock) -> None:
    assert "a" not in ended
    assert await ended.add("a", NOON + HOUR)
    assert "a" in ended
    other = EndedSessions(Kafka(), "sessions", clock)
    for record in kafka.records:
        other.apply(record)
        ended.apply(record)
    assert "a" in other
    assert "b" not in other


async def test_it_is_forgotten_when_it_would_have_ended_anyway(ended: EndedSessions, clock: Clock) -> None:
    for id, hours in (("c", 3), ("a", 1), ("b", 2), ("b", 2)):
        ended.apply(Record(SessionEnd(v=1, session=id, ends=NOON + hours * HOUR).encode()))
    clock.now = NOON + 2 * HOUR
    ended.apply(Record(SessionEnd(v=1, session="of yesterday", ends=NOON - HOUR).encode()))
    assert [id for id in ("a", "b", "c", "of yesterday") if id in ended] == ["c"]


@pytest.mark.parametrize("how", ["away", "hangs"])
async def test_without_kafka_it_is_over_here_and_that_is_said(ended: EndedSessions, kafka: Kafka, how: str) -> None:
    setattr(kafka, how, True)
    assert not await ended.add("a", NOON + HOUR)
    assert "a" in ended


async def test_the_others_are_told_when_kafka_is_back(ended: EndedSessions, kafka: Kafka) -> None:
    kafka.away = True
    assert not await ended.add("a", NOON + HOUR)
    assert not kafka.records
    kafka.away = False
    await eventually(lambda: kafka.records)
    assert kafka.records == [Record(SessionEnd(v=1, session="a", ends=NOON + HOUR).encode())]


async def test_nobody_is_told_of_what_is_over_anyway(ended: EndedSessions, kafka: Kafka, clock: Clock) -> None:
    kafka.away = True
    assert not await ended.add("a", NOON + HOUR)
    clock.now = NOON + HOUR
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await eventually(lambda: all(task.done() for task in others))
    assert not kafka.records


async def test_after_the_stop_nothing_is_tried(ended: EndedSessions, kafka: Kafka) -> None:
    kafka.away = True
    assert not await ended.add("a", NOON + HOUR)
    await ended.stop()
    asked = kafka.asked
    await asyncio.sleep(0)
    assert kafka.asked == asked


@pytest.mark.parametrize("value", [None, b"", b"x", b'{"v": 2, "session": "a", "ends": "2026-11-24T13:00:00Z"}'])
async def test_what_cannot_be_read_is_passed_over(ended: EndedSessions, value: bytes | None) -> None:
    ended.apply(Record(value))
    assert "a" not in ended
    ended.apply(Record(b'{"v": 1, "session": "a", "ends": "2026-11-24T13:00:00Z", "since": "a later version"}'))
    assert "a" in ended
