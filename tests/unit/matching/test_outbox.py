import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError, RecordListTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder

from dispatcher.matching import outbox as outbox_module
from dispatcher.matching.outbox import BATCH_BYTES, ROUND_EVENTS, ROUND_RECORDS, Outbox
from tests.support.waiting import eventually

EVENT: Any = SimpleNamespace(value=b"an event")


class Broker:
    """Takes batches when it is told to; stands for the producer, its metadata and the dead letters."""

    def __init__(self) -> None:
        self.partitions = {"deliveries": 4, "attempts": 4}
        self.sent: list[tuple[str, int, int]] = []
        self.letters: list[tuple[Any, str]] = []
        self.waiting: list[asyncio.Future[None]] = []
        self.refusals: list[Exception] = []
        self.acknowledges = True
        self.client = SimpleNamespace(cluster=SimpleNamespace(partitions_for_topic=self._known))

    def _known(self, topic: str) -> set[int]:
        return set(range(self.partitions[topic]))

    async def partitions_for(self, topic: str) -> set[int]:
        return self._known(topic)

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(BATCH_BYTES, 0)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[None]:
        self.sent.append((topic, partition, batch.record_count()))
        return self._answer()

    async def send(self, record: Any, reason: str) -> None:
        self.letters.append((record, reason))
        await self._answer()

    def _answer(self) -> asyncio.Future[None]:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.refusals:
            answer.set_exception(self.refusals.pop(0))
        elif self.acknowledges:
            answer.set_result(None)
        else:
            self.waiting.append(answer)
        return answer

    @property
    def records(self) -> int:
        return sum(count for _, _, count in self.sent)


@asynccontextmanager
async def running(broker: Broker) -> AsyncIterator[Outbox]:
    outbox = Outbox(broker, broker)  # type: ignore[arg-type]
    await outbox.open("deliveries", "attempts")
    sending = asyncio.create_task(outbox.run())
    try:
        yield outbox
    finally:
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "FIRST_RETRY_SECONDS", 0.001)


async def test_an_event_is_done_when_the_broker_has_what_it_led_to() -> None:
    broker = Broker()
    broker.acknowledges = False
    done: list[int] = []
    async with running(broker) as outbox:
        outbox.put("deliveries", "wh-1", b"{}", [], EVENT)
        outbox.done(lambda: done.append(1), 10)
        outbox.push()
        await eventually(lambda: len(broker.waiting) == 1)
        assert not done
        broker.waiting[0].set_result(None)
        await eventually(lambda: done == [1])


async def test_an_event_that_leads_to_nothing_is_done_after_those_before_it() -> None:
    broker = Broker()
    broker.acknowledges = False
    done: list[int] = []
    async with running(broker) as outbox:
        outbox.put("deliveries", "wh-1", b"{}", [], EVENT)
        outbox.done(lambda: done.append(1), 10)
        outbox.push()
        await eventually(lambda: len(broker.waiting) == 1)
        outbox.done(lambda: done.append(2), 10)
        outbox.push()
        await asyncio.sleep(0)
        assert not done
        broker.waiting[0].set_result(None)
        await eventually(lambda: done == [1, 2])


async def test_nothing_depends_on_a_push() -> None:
    broker = Broker()
    done: list[int] = []
    async with running(broker) as outbox:
        outbox.put("deliveries", "wh-1", b"{}", [], EVENT)
        outbox.done(lambda: done.append(1), 10)
        await eventually(lambda: done == [1])


async def test_what_the_broker_refuses_is_sent_again() -> None:
    broker = Broker()
    broker.refusals = [KafkaConnectionError(), KafkaConnectionError(), OSError()]
    done: list[int] = []
    async with running(broker) as outbox:
        outbox.put("deliveries", "wh-1", b"{}", [], EVENT)
        outbox.done(lambda: done.append(1), 10)
        outbox.push()
        await eventually(lambda: done == [1])
    assert len(broker.sent) == 4


@pytest.mark.parametrize("error", [MessageSizeTooLargeError, RecordListTooLargeError])
async def test_a_record_that_is_too_large_for_its_topic_stops_nothing(error: type[Exception]) -> None:
    broker = Broker()
    broker.refusals = [error()]
    done: list[int] = []
    other: Any = SimpleNamespace(value=b"another event")
    async with running(broker) as outbox:
        outbox.put("deliveries", "wh-1", bytes(2 * BATCH_BYTES), [], EVENT)
        outbox.put("deliveries", "wh-1", b"{}", [], other)
        outbox.done(lambda: done.append(1), 10)
        outbox.push()
        await eventually(lambda: done == [1])
    assert [count for _, _, count in broker.sent] == [1, 1]
    ((record, reason),) = broker.letters
    assert record is EVENT
    assert re.fullmatch(r"what follows from it is 1311\d\d bytes, more than deliveries takes", reason)


async def test_small_records_wait_until_their_topic_takes_them() -> None:
    broker = Broker()
    broker.refusals = [MessageSizeTooLargeError(), MessageSizeTooLargeError()]
    done: list[int] = []
    async with running(broker) as outbox:
        for _ in range(2):
            outbox.put("deliveries", "wh-1", b"{}", [], EVENT)
        outbox.done(lambda: done.append(1), 10)
        outbox.push()
        await eventually(lambda: done == [1])
    assert [count for _, _, count in broker.sent] == [2, 2, 2]
    assert not broker.letters


@pytest.mark.parametrize(
    "fill",
    [
        lambda outbox: [outbox.put("deliveries", "wh-1", b"{}", [], EVENT) for _ in range(ROUND_RECORDS)],
        lambda outbox: [outbox.done(lambda: None, 1) for _ in range(ROUND_EVENTS)],
        lambda outbox: [outbox.put("deliveries", f"wh-{n}", bytes(256 * 1024), [], EVENT) for n in range(16)],
        lambda outbox: outbox.done(lambda: None, 4 * 1024 * 1024),
    ],
    ids=["many records", "many events", "large records", "a large event"],
)
async def test_a_full_round_has_no_room_until_the_next_one_begins(fill: Callable[[Outbox], Any]) -> None:
    broker = Broker()
    async with running(broker) as outbox:
        fill(outbox)
        assert not outbox.has_room
        async with asyncio.timeout(5):
            await outbox.room()


async def test_at_most_two_rounds_wait() -> None:
    broker = Broker()
    broker.acknowledges = False
    async with running(broker) as outbox:
        for _ in range(2):
            await outbox.room()
            outbox.done(lambda: None, 4 * 1024 * 1024)
            outbox.put("deliveries", "wh-1", b"{}", [], EVENT)
        await eventually(lambda: bool(broker.waiting))
        assert not outbox.has_room
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await outbox.room()
        broker.acknowledges = True
        broker.waiting[0].set_result(None)
        async with asyncio.timeout(5):
            await outbox.room()


async def test_large_records_take_as_many_batches_as_they_need() -> None:
    broker = Broker()
    done: list[int] = []
    async with running(broker) as outbox:
        for _ in range(5):
            outbox.put("deliveries", "wh-1", bytes(256 * 1024), [("message", b"msg_1")], EVENT)
        outbox.put("deliveries", "wh-1", bytes(2 * BATCH_BYTES), [], EVENT)
        outbox.done(lambda: done.append(1), 10)
        await eventually(lambda: done == [1])
    assert broker.records == 6
    assert len({partition for _, partition, _ in broker.sent}) == 1


async def test_new_partitions_are_noticed() -> None:
    broker = Broker()
    done: list[int] = []
    async with running(broker) as outbox:
        broker.partitions["deliveries"] = 400
        outbox.done(lambda: done.append(1), 10)
        await eventually(lambda: done == [1])
        for number in range(100):
            outbox.put("deliveries", f"wh-{number}", b"{}", [], EVENT)
        await eventually(lambda: broker.records == 100)
    assert any(partition >= 4 for _, partition, _ in broker.sent)


async def test_a_dead_letter_is_waited_for_like_a_record() -> None:
    broker = Broker()
    broker.refusals = [KafkaConnectionError()]
    broker.acknowledges = False
    done: list[int] = []
    record = SimpleNamespace(value=b"no event")
    async with running(broker) as outbox:
        outbox.put_dead_letter(record, "not JSON")
        outbox.done(lambda: done.append(1), 10)
        await eventually(lambda: len(broker.waiting) == 1)
        assert not done
        broker.waiting[0].set_result(None)
        await eventually(lambda: done == [1])
    assert broker.letters == [(record, "not JSON"), (record, "not JSON")]
