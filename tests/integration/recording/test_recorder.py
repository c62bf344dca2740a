"""The recorder on a real Kafka: what it reads shows in ClickHouse, whatever happens on the way."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from prometheus_client import REGISTRY

from dispatcher.delivery.outcome import encode_outcome, outcome_headers
from dispatcher.errors import ClickHouseUnavailable
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.groups import Group
from dispatcher.kafka.topics import Topics
from dispatcher.recording.batches import BatchPolicy
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.delivery_log import DeliveryLog
from dispatcher.recording.history import Metrics
from dispatcher.recording.recorder import Recorder
from dispatcher.recording.schema import migrate
from tests.support.clickhouse import ORGANIZATION, WEBHOOK, a_database, delivery, outcome, port_in_front_of
from tests.support.kafka import consume, consume_all
from tests.support.waiting import eventually

US = (ORGANIZATION, WEBHOOK)
NOW = int(time.time() * 1000)
HASTY = BatchPolicy(linger=0.02, interval=0.02)


def of_batches(records: int) -> BatchPolicy:
    """So many records are one batch, however long it takes to read them."""
    return BatchPolicy(linger=600, interval=600, records=records)


@pytest.fixture
async def producer(clients: KafkaClients) -> AsyncIterator[AIOKafkaProducer]:
    producer = clients.producer()
    await producer.start()
    yield producer
    await producer.stop()


@asynccontextmanager
async def recording(recorder: Recorder) -> AsyncIterator[Recorder]:
    await recorder.start()
    try:
        yield recorder
    finally:
        await recorder.stop()


async def deliver(producer: AIOKafkaProducer, topics: Topics, *message_ids: str, run: int = 1) -> None:
    for message_id in message_ids:
        made = delivery(message_id, NOW - 5000, run=run, body=b'{"id": "%s"}' % message_id.encode())
        await producer.send(topics.deliveries, made.body, key=made.key, headers=made.headers())
    await producer.flush()


async def deliver_and_report(producer: AIOKafkaProducer, topics: Topics, message_id: str, value: bytes) -> None:
    """A delivery, and an outcome as senders write it: beside it, with headers that say of which record it tells."""
    made = delivery(message_id, NOW - 5000, body=b'{"id": "%s"}' % message_id.encode())
    stored = await producer.send_and_wait(topics.deliveries, made.body, key=made.key, headers=made.headers())
    headers = outcome_headers(made, final=True, topic=topics.deliveries, offset=stored.offset)
    await producer.send_and_wait(topics.attempts, value, key=made.key, partition=stored.partition, headers=headers)


async def report(producer: AIOKafkaProducer, topics: Topics, *values: bytes) -> None:
    for value in values:
        await producer.send(topics.attempts, value, key=WEBHOOK.encode())
    await producer.flush()


async def until(condition: Callable[[], object], timeout: float = 30, what: str = "") -> None:
    await eventually(condition, timeout=timeout, what=what)


def metrics_are(log: DeliveryLog, expected: Metrics) -> Callable[[], object]:
    async def condition() -> bool:
        assert await log.metrics(*US) == expected
        return True

    return condition


async def committed(clients: KafkaClients, topics: Topics) -> dict[TopicPartition, int]:
    admin = clients.admin()
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(topics.group(Group.RECORDER))
    finally:
        await admin.close()
    return {partition: each.offset for partition, each in offsets.items() if each.offset > 0}


async def test_a_waiting_delivery_and_its_outcomes_show(
    clients: KafkaClients, topics: Topics, embedded: ClickHouse, producer: AIOKafkaProducer
) -> None:
    log = DeliveryLog(embedded)
    async with recording(Recorder(clients, topics, embedded)):
        await deliver(producer, topics, "m")
        await until(metrics_are(log, Metrics(0, 1, 0, 0)), what="the pending row")
        assert await log.body(*US, "m") == b'{"id": "m"}'
        failed = outcome("m", 1, "failed", at=NOW - 100, next_attempt_at=NOW + 1000)
        await report(producer, topics, encode_outcome(failed))
        await until(lambda: _statuses(log, ["pending", "failed"]), what="the failed attempt and the next")
        await report(producer, topics, encode_outcome(outcome("m", 2, "successful", at=NOW)))
        await until(metrics_are(log, Metrics(1, 0, 0, 0)), what="the success")
    assert sum((await committed(clients, topics)).values()) == 3


def test_batches_leave_room_for_the_three_seconds_in_which_a_row_shows() -> None:
    assert BatchPolicy().linger + BatchPolicy().interval <= 1.5


async def test_a_row_shows_within_seconds(
    clients: KafkaClients, topics: Topics, embedded: ClickHouse, producer: AIOKafkaProducer
) -> None:
    log = DeliveryLog(embedded)
    async with recording(Recorder(clients, topics, embedded)):
        await report(producer, topics, encode_outcome(outcome("first", 1, "successful", at=NOW)))
        await until(metrics_are(log, Metrics(1, 0, 0, 0)))
        await report(producer, topics, encode_outcome(outcome("second", 1, "successful", at=NOW)))
        await until(metrics_are(log, Metrics(2, 0, 0, 0)), timeout=10)


async def test_others_have_turns_while_a_large_batch_is_prepared(
    clients: KafkaClients, topics: Topics, embedded: ClickHouse, producer: AIOKafkaProducer
) -> None:
    await deliver(producer, topics, *(f"m{number}" for number in range(2_000)))
    records = await consume(clients, topics.deliveries, 2_000)
    turns = 0

    async def somebody_else() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with recording(Recorder(clients, topics, embedded)) as recorder:
        other = asyncio.create_task(somebody_else())
        await recorder._queued(records, frozenset())
        assert 7 <= turns <= 9
        await recorder._outcomes(records)
        assert 14 <= turns <= 18
        other.cancel()


async def test_an_attempt_in_progress_is_not_kept_waiting_for_others(
    clients: KafkaClients, topics: Topics, embedded: ClickHouse, producer: AIOKafkaProducer
) -> None:
    log = DeliveryLog(embedded)
    async with recording(Recorder(clients, topics, embedded, policy=BatchPolicy(linger=0.02, interval=3600))):
        await deliver(producer, topics, "first")
        await until(metrics_are(log, Metrics(0, 1, 0, 0)))
        await deliver(producer, topics, "second")
        with pytest.raises(AssertionError):
            await until(metrics_are(log, Metrics(0, 2, 0, 0)), timeout=1)
        made = delivery("second", NOW)
        value = encode_outcome(outcome("second", 1, "in_progress", at=NOW))
        headers = outcome_headers(made, final=False, topic=topics.deliveries, offset=0)
        await producer.send_and_wait(topics.attempts, value, key=made.key, headers=headers)
        await until(metrics_are(log, Metrics(0, 1, 1, 0)))


async def test_what_is_read_again_changes_nothing(
    clients: KafkaClients, topics: Topics, embedded: ClickHouse, producer: AIOKafkaProducer
) -> None:
    log = DeliveryLog(embedded)
    await deliver(producer, topics, "m1", "m2", "m3")
    await report(producer, topics, encode_outcome(outcome("m1", 1, "successful", at=NOW)))
    async with recording(Recorder(clients, topics, embedded, policy=HASTY)):
        await until(metrics_are(log, Metrics(1, 2, 0, 0)))
        await until(lambda: _committed_all(clients, topics, 4))
    await _forget_offsets(clients, topics)
    async with recording(Recorder(clients, topics, embedded, policy=HASTY)):
        await until(lambda: _committed_all(clients, topics, 4))
        assert await log.metrics(*US) == Metrics(1, 2, 0, 0)
        assert len((await log.attempts(*US)).items) == 3


async def test_of_an_attempt_that_was_made_when_it_is_recorded_the_outcome_tells_all(
    clients: KafkaClients, topics: Topics, embedded: ClickHouse, producer: AIOKafkaProducer
) -> None:
    log = DeliveryLog(embedded)
    await deliver_and_report(producer, topics, "made", encode_outcome(outcome("made", 1, "successful", at=NOW)))
    await deliver(producer, topics, "waits")
    async with recording(Recorder(clients, topics, embedded, policy=of_batches(3))):
        await until(metrics_are(log, Metrics(1, 1, 0, 0)))
        assert await log.body(*US, "made") == b'{"id": "made"}'
    rows = await embedded.query("SELECT message_id, toString(status) AS status FROM attempt_states ORDER BY message_id")
    assert [(row["message_id"], row["status"]) for row in rows] == [("made", "successful"), ("waits", "pending")]
    assert len(await embedded.query("SELECT message_id FROM message_states")) == 2


async def test_a_message_whose_outcome_is_refused_is_known_to_wait(
    clients: KafkaClients, topics: Topics, embedded: ClickHouse, producer: AIOKafkaProducer
) -> None:
    log = DeliveryLog(embedded)
    await deliver_and_report(producer, topics, "m", b'{"run": 1}')
    async with recording(Recorder(clients, topics, embedded, policy=of_batches(2))):
        assert len(await consume(clients, topics.dead_letter, 1)) == 1
        await until(metrics_are(log, Metrics(0, 1, 0, 0)))


async def test_a_record_that_cannot_be_read_holds_up_no_other(
    clients: KafkaClients, topics: Topics, embedded: ClickHouse, producer: AIOKafkaProducer
) -> None:
    log = DeliveryLog(embedded)
    good = [encode_outcome(outcome(f"m{n}", 1, "successful", at=NOW)) for n in range(20)]
    await report(producer, topics, *good[:7], b"nonsense", *good[7:12], b'{"run": 1}', b"", *good[12:], b";")
    unreadable = delivery("d", NOW)
    await producer.send_and_wait(topics.deliveries, unreadable.body, key=b"k", headers=[("attempt", b"1")])
    async with recording(Recorder(clients, topics, embedded)):
        await until(metrics_are(log, Metrics(20, 0, 0, 0)))
        letters = await consume(clients, topics.dead_letter, 4)
        await until(lambda: _committed_all(clients, topics, 25))
    assert {letter.value for letter in letters} == {b"nonsense", b'{"run": 1}', b"", b";"}
    reasons = [dict(letter.headers)["dead-letter-reason"] for letter in letters]
    assert any(b"constraint" in reason.lower() for reason in reasons)
    assert len(await consume_all(clients, topics.dead_letter)) == 4


async def test_clickhouse_away_keeps_the_offsets_until_it_is_back(
    clients: KafkaClients, topics: Topics, engine: str, producer: AIOKafkaProducer, unused_tcp_port: int
) -> None:
    database = a_database()
    store = ClickHouse(f"http://127.0.0.1:{unused_tcp_port}", database=database)
    tiny = BatchPolicy(linger=0.01, interval=0.01, records=5, room=2_000)
    async with recording(Recorder(clients, topics, store, policy=tiny)) as recorder:
        await deliver(producer, topics, *(f"m{n}" for n in range(50)))
        with pytest.raises(ClickHouseUnavailable):
            await store.query("SELECT 1")
        assert await committed(clients, topics) == {}
        async with port_in_front_of(engine, port=unused_tcp_port):
            log = DeliveryLog(store)
            await until(lambda: _has_metrics(log, Metrics(0, 50, 0, 0)), timeout=20)
            await until(lambda: _committed_all(clients, topics, 50))
        await report(producer, topics, encode_outcome(outcome("m1", 1, "successful", at=NOW)))
        async with port_in_front_of(engine, port=unused_tcp_port):
            await until(lambda: _has_metrics(log, Metrics(1, 49, 0, 0)), timeout=20)
        await recorder.stop()
    await store.close()


async def test_recorders_share_the_partitions_and_take_over(
    clients: KafkaClients, topics: Topics, embedded: ClickHouse, producer: AIOKafkaProducer
) -> None:
    async def keep_reporting(first: int) -> None:
        for n in range(first, first + 100):
            made = delivery(f"m{n}", NOW - 5000)
            await producer.send_and_wait(topics.deliveries, made.body, key=b"%d" % n, headers=made.headers())

    async with recording(Recorder(clients, topics, embedded, policy=HASTY)):
        await keep_reporting(0)
        async with recording(Recorder(clients, topics, embedded, policy=HASTY)):
            await keep_reporting(100)
        await keep_reporting(200)
        await until(lambda: _messages(embedded, 300), timeout=20)
        await until(lambda: _committed_all(clients, topics, 300))


async def test_what_was_inserted_is_counted_by_its_topic(
    clients: KafkaClients, topics: Topics, embedded: ClickHouse, producer: AIOKafkaProducer
) -> None:
    async with recording(Recorder(clients, topics, embedded, policy=HASTY)):
        await deliver(producer, topics, "m1", "m2")
        of_much = delivery("m3", NOW - 5000)
        await producer.send_and_wait(topics.bulk, of_much.body, key=of_much.key, headers=of_much.headers())
        good = encode_outcome(outcome("m1", 1, "successful", at=NOW))
        await report(producer, topics, b"nonsense", b'{"run": 0}', good)
        await until(lambda: _committed_all(clients, topics, 6), timeout=20, what="everything is committed")
    name = "dispatcher_rows_recorded_total"
    counted = {
        topic: REGISTRY.get_sample_value(name, {"topic": topic})
        for topic in (topics.deliveries, topics.bulk, topics.attempts)
    }
    assert counted == {topics.deliveries: 2, topics.bulk: 1, topics.attempts: 1}


async def test_stop_inserts_what_waits(
    clients: KafkaClients, topics: Topics, embedded: ClickHouse, producer: AIOKafkaProducer
) -> None:
    recorder = Recorder(clients, topics, embedded, policy=BatchPolicy(linger=3600))
    await deliver(producer, topics, "m1", "m2")
    async with recording(recorder):
        await until(lambda: _waiting(recorder, 2), timeout=20)
    assert await DeliveryLog(embedded).metrics(*US) == Metrics(0, 2, 0, 0)
    await _committed_all(clients, topics, 2)


async def test_wait_ends_with_stop(clients: KafkaClients, topics: Topics, embedded: ClickHouse) -> None:
    recorder = Recorder(clients, topics, embedded)
    await recorder.start()
    waiting = asyncio.create_task(recorder.wait())
    await recorder.stop()
    await asyncio.wait_for(waiting, 5)


async def test_an_embedded_engine_that_cannot_be_opened_says_what_to_do(embedded: ClickHouse, tmp_path: object) -> None:
    other = ClickHouse(f"chdb://{tmp_path}/another")
    with pytest.raises(ClickHouseUnavailable, match=r"one process holds it .* DISPATCHER_CLICKHOUSE_HTTP_PORT"):
        await migrate(other)
    await other.close()


async def _messages(clickhouse: ClickHouse, expected: int) -> bool:
    (counted,) = await clickhouse.query("SELECT count() AS messages FROM messages")
    assert counted["messages"] == expected
    return True


def _waiting(recorder: Recorder, records: int) -> bool:
    return len(recorder._gathering._records) == records


async def _statuses(log: DeliveryLog, expected: list[str]) -> bool:
    assert [row.status for row in (await log.attempts(*US)).items] == expected
    return True


async def _has_metrics(log: DeliveryLog, expected: Metrics) -> bool:
    try:
        found = await log.metrics(*US)
    except Exception as error:
        raise AssertionError(str(error)) from error
    assert found == expected
    return True


async def _committed_all(clients: KafkaClients, topics: Topics, records: int) -> bool:
    assert sum((await committed(clients, topics)).values()) == records
    return True


async def _forget_offsets(clients: KafkaClients, topics: Topics) -> None:
    consumer = clients.consumer(topics.attempts, topics.deliveries, group=topics.group(Group.RECORDER))
    await consumer.start()
    try:
        await until(lambda: _assigned(consumer))
        await consumer.commit(dict.fromkeys(consumer.assignment(), 0))
    finally:
        await consumer.stop()


async def _assigned(consumer: object) -> bool:
    await consumer.getmany(timeout_ms=50)  # type: ignore[attr-defined]
    return bool(consumer.assignment())  # type: ignore[attr-defined]
