"""The recorder and the real client over HTTP, with faults on the way: afterwards nothing is missing, nothing twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from structlog.testing import capture_logs

from dispatcher.delivery.outcome import encode_outcome
from dispatcher.errors import ClickHouseUnavailable, ConfigurationError
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.groups import Group
from dispatcher.kafka.topics import Topics
from dispatcher.observability.metrics import RECORDER_INSERT_FAILURES
from dispatcher.recording import clickhouse as clients_of_clickhouse
from dispatcher.recording.backoff import Backoff
from dispatcher.recording.clickhouse import ClickHouse, ClickHouseTimedOut
from dispatcher.recording.delivery_log import DeliveryLog
from dispatcher.recording.history import Metrics
from dispatcher.recording.recorder import Recorder
from dispatcher.recording.schema import migrate
from tests.support import faulty_link
from tests.support.clickhouse import ORGANIZATION, WEBHOOK, a_database, delivery, outcome, port_in_front_of
from tests.support.faulty_link import Fault, FaultyLink, a_faulty_link, client_seconds
from tests.support.kafka import consume_all
from tests.support.waiting import eventually

NOW = int(time.time() * 1000)
MESSAGES = 60
BODY = b'{"text": "' + b"x" * 20_000 + b'"}'
"""So large that a batch of them is in no socket's buffer as a whole."""

_TOLD = "ClickHouse takes no rows"


@pytest.fixture(autouse=True)
def _hasty(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short time-outs, and short waits after failures."""
    monkeypatch.setattr(clients_of_clickhouse, "_CLIENT_SECONDS", client_seconds(request))
    monkeypatch.setattr(clients_of_clickhouse, "_ENDS_SECONDS", 0.5)
    monkeypatch.setattr(Backoff, "after", lambda *_: 0.02)


@dataclass(frozen=True)
class Recording:
    """A recorder behind a link, and who looks at what it wrote without the link."""

    link: FaultyLink
    store: ClickHouse
    looking: ClickHouse
    clients: KafkaClients
    topics: Topics
    producer: AIOKafkaProducer

    async def publish(self) -> None:
        """Deliveries, and for each a failed attempt and a successful one."""
        for n in range(MESSAGES):
            made = delivery(f"m{n}", NOW - 5000, body=BODY)
            await self.producer.send(self.topics.deliveries, made.body, key=made.key, headers=made.headers())
            for attempt, status in ((1, "failed"), (2, "successful")):
                row = encode_outcome(outcome(f"m{n}", attempt, status, at=NOW - 1000 + attempt))  # type: ignore[arg-type]
                await self.producer.send(self.topics.attempts, row, key=WEBHOOK.encode())
        await self.producer.flush()

    async def everything_is_committed(self) -> bool:
        admin = self.clients.admin()
        await admin.start()
        try:
            offsets = await admin.list_consumer_group_offsets(self.topics.group(Group.RECORDER))
        finally:
            await admin.close()
        assert sum(max(each.offset, 0) for each in offsets.values()) == 3 * MESSAGES
        return True

    async def assert_each_is_there_once(self) -> None:
        log = DeliveryLog(self.looking)
        assert await log.metrics(ORGANIZATION, WEBHOOK) == Metrics(MESSAGES, 0, 0, 0)
        [attempts] = await self.looking.query(
            "SELECT count() AS n, uniqExact(message_id, attempt) AS ids FROM attempts"
        )
        assert (attempts["n"], attempts["ids"]) == (2 * MESSAGES, 2 * MESSAGES)
        [messages] = await self.looking.query("SELECT count() AS n, sum(attempts) AS attempts FROM messages")
        assert (messages["n"], messages["attempts"]) == (MESSAGES, 2 * MESSAGES)
        [hours] = await self.looking.query(
            "SELECT sum(successful) AS good, sum(failed) AS bad FROM success_rate_hourly"
        )
        assert (hours["good"], hours["bad"]) == (MESSAGES, 0)
        for n in range(MESSAGES):
            assert await log.body(ORGANIZATION, WEBHOOK, f"m{n}") == BODY
        assert await consume_all(self.clients, self.topics.dead_letter) == []


def inserts_failed() -> float:
    """How many did in this process."""
    return sum(
        sample.value
        for metric in RECORDER_INSERT_FAILURES.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    )


@pytest.fixture
async def recording(clients: KafkaClients, topics: Topics, engine: str) -> AsyncIterator[Recording]:
    database = a_database()
    async with (
        port_in_front_of(engine) as port,
        a_faulty_link(f"http://127.0.0.1:{port.port}") as link,
        clients.producer() as producer,
    ):
        looking = ClickHouse(engine, database=database)
        await migrate(looking)
        store = ClickHouse(link.url, database=database)
        try:
            yield Recording(link, store, looking, clients, topics, producer)
        finally:
            await asyncio.gather(store.close(), looking.close())


async def nobody_listens(link: FaultyLink) -> None:
    await link.close()


async def not_let_in(link: FaultyLink) -> None:
    link.spoil(faulty_link.wrong_password)


@pytest.mark.parametrize("away", [nobody_listens, not_let_in])
async def test_a_recorder_that_starts_without_clickhouse_waits_for_it(
    recording: Recording, away: Callable[[FaultyLink], Awaitable[None]]
) -> None:
    await away(recording.link)
    failed = inserts_failed()
    recorder = Recorder(recording.clients, recording.topics, recording.store)
    await recorder.start()
    try:
        await recording.publish()
        await eventually(lambda: inserts_failed() > failed, what="an insert that finds nobody")
        recording.link.heal()
        if away is nobody_listens:
            await recording.link.open()
        await eventually(recording.everything_is_committed, timeout=30, what="everything is in")
    finally:
        await recorder.stop()
    await recording.assert_each_is_there_once()


CHANGES_THE_SCHEMA = r"^\s*(CREATE|ALTER|DROP)\b"


@pytest.mark.parametrize("fault", [faulty_link.replica_away, faulty_link.access_denied], ids=["away", "denied"])
async def test_where_every_migration_was_applied_a_recorder_makes_nothing(recording: Recording, fault: Fault) -> None:
    recording.link.spoil(fault, CHANGES_THE_SCHEMA)
    recorder = Recorder(recording.clients, recording.topics, recording.store)
    await recorder.start()
    failed = inserts_failed()
    try:
        recording.link.spoil(faulty_link.too_many_parts, "INSERT INTO")
        await recording.publish()
        await eventually(lambda: inserts_failed() > failed, what="an insert that fails")
        recording.link.spoil(fault, CHANGES_THE_SCHEMA)
        await eventually(recording.everything_is_committed, timeout=30, what="everything is in")
    finally:
        await recorder.stop()
    assert recording.link.met == 0
    await recording.assert_each_is_there_once()


async def test_a_user_who_may_not_apply_what_is_missing_is_told_what_to_grant(recording: Recording) -> None:
    await recording.looking.command("TRUNCATE TABLE schema_migrations")
    recording.link.spoil(faulty_link.access_denied, CHANGES_THE_SCHEMA)
    recorder = Recorder(recording.clients, recording.topics, recording.store)
    with pytest.raises(ConfigurationError, match=r"default may not .* grant SELECT, .* on test_\w+\.\*, or .* --apply"):
        await recorder.start()
    await recorder.stop()


async def test_a_recorder_that_found_clickhouse_late_waits_for_grants(recording: Recording) -> None:
    await recording.looking.command("TRUNCATE TABLE schema_migrations")
    recording.link.spoil(faulty_link.wrong_password)
    recorder = Recorder(recording.clients, recording.topics, recording.store)
    await recorder.start()
    try:
        recording.link.spoil(faulty_link.access_denied, CHANGES_THE_SCHEMA)
        await recording.publish()
        await eventually(lambda: recording.link.met > 1, what="a second try")
        recording.link.heal()
        await eventually(recording.everything_is_committed, timeout=30, what="everything is in")
    finally:
        await recorder.stop()
    await recording.assert_each_is_there_once()


FAULTS = {
    "reset in the request": faulty_link.reset_in_the_request,
    "half of it applied": faulty_link.half_of_it_applied,
    "answer lost": faulty_link.answer_lost,
    "answer silent": faulty_link.answer_silent,
    "answer endless": faulty_link.answer_endless,
    "too many parts": faulty_link.too_many_parts,
    "out of memory": faulty_link.out_of_memory,
    "too many queries": faulty_link.too_many_queries,
    "wrong password": faulty_link.wrong_password,
    "bad gateway": faulty_link.bad_gateway,
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_inserts_are_made_again(recording: Recording, fault: Fault) -> None:
    # The other table's rows are not in lines, of which half may be taken.
    where = "INSERT INTO outcomes" if fault is faulty_link.half_of_it_applied else r"INSERT INTO (outcomes|queued)"
    recording.link.spoil(fault, where, times=3)
    recorder = Recorder(recording.clients, recording.topics, recording.store)
    await recorder.start()
    try:
        with capture_logs() as logs:
            await recording.publish()
            await eventually(recording.everything_is_committed, timeout=30, what="everything is in")
    finally:
        await recorder.stop()
    assert recording.link.met == 3
    # Where the connection goes, the client tries again by itself before it gives up.
    assert any(line["event"].startswith(_TOLD) for line in logs)
    await recording.assert_each_is_there_once()


async def test_a_wrong_password_is_told(recording: Recording) -> None:
    recording.link.spoil(faulty_link.wrong_password)
    for call in (recording.store.query("SELECT 1"), recording.store.insert("outcomes", b"{}")):
        with pytest.raises(ClickHouseUnavailable, match=r"does not let default in .* in DISPATCHER_CLICKHOUSE_URL$"):
            await call


@pytest.mark.parametrize("tagged", [True, False])
async def test_an_exception_in_the_middle_of_an_answer_is_none_of_its_rows(recording: Recording, tagged: bool) -> None:
    recording.link.spoil(faulty_link.exception_in_the_answer(tagged=tagged), "numbers")
    # What older servers append, the client takes for the rows that it stands among.
    with pytest.raises(ClickHouseUnavailable, match="memory limit exceeded" if tagged else "unrecognized data"):
        await recording.store.query("SELECT number FROM numbers(100000)")


@pytest.mark.parametrize("fault", [faulty_link.answer_cut, faulty_link.answer_silent, faulty_link.answer_endless])
async def test_what_reads_ends_and_the_next_read_is_well(recording: Recording, fault: Fault) -> None:
    recording.link.spoil(fault, "numbers")
    with pytest.raises(ClickHouseUnavailable) as raised:
        await recording.store.query("SELECT number FROM numbers(100000)")
    assert isinstance(raised.value, ClickHouseTimedOut) == (fault is not faulty_link.answer_cut)
    recording.link.heal()

    async def next_read() -> list[dict[str, Any]]:
        try:
            return await recording.store.query("SELECT count() AS n FROM numbers(7)")
        except ClickHouseTimedOut:  # a second is little on a busy machine
            return []

    assert await eventually(next_read) == [{"n": 7}]


async def test_a_stop_does_not_wait_for_upkeep(recording: Recording) -> None:
    await recording.store.maintain("SELECT 1")
    recording.link.spoil(faulty_link.answer_silent, "numbers")
    keeping_up = asyncio.create_task(recording.store.maintain("SELECT number FROM numbers(100000)"))
    await eventually(lambda: recording.link.met > 0, what="it is asked")
    async with asyncio.timeout(30):
        await recording.store.close()
        with pytest.raises(ClickHouseTimedOut):
            await keeping_up
