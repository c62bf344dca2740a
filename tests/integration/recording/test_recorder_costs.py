"""What a recorded attempt costs the recorder, in counts that are the same on every machine.

Where one of these fails, something was added to the way of every attempt. If it is worth that, raise the bound.
"""

import time
from collections import Counter
from typing import Any

import pytest

import dispatcher
from dispatcher.delivery.outcome import encode_outcome, outcome_headers
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.recording.batches import BatchPolicy
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.delivery_log import DeliveryLog
from dispatcher.recording.recorder import Recorder
from tests.support.clickhouse import ORGANIZATION, WEBHOOK, delivery, outcome
from tests.support.counting import function_calls, kafka_requests
from tests.support.waiting import eventually

ATTEMPTS = 500
NOW = int(time.time() * 1000)

CALLS_AN_ATTEMPT = 23
"""Calls of Python functions of ours, for a delivery and its outcome: 20.9 when this was written."""

CALLS_A_SECOND = 100
"""Of what a recorder does as time passes: it polls, and closes hours."""


async def test_what_an_attempt_costs_the_recorder(
    clients: KafkaClients, topics: Topics, embedded: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _attempts(clients, topics)
    # However long reading takes, there is one batch.
    policy = BatchPolicy(linger=600, interval=600, records=2 * ATTEMPTS)
    recorder = Recorder(clients, topics, embedded, policy=policy)
    inserts = _inserts(embedded, monkeypatch)

    with kafka_requests(monkeypatch) as requests, function_calls() as calls:
        started = time.monotonic()
        await recorder.start()
        try:
            await eventually(lambda: requests["OffsetCommit"], timeout=30)
        finally:
            await recorder.stop()
        seconds = time.monotonic() - started

    assert inserts == {"outcomes": 1, "queued": 1}
    assert (await DeliveryLog(embedded).metrics(ORGANIZATION, WEBHOOK)).successful == ATTEMPTS
    assert (calls[dispatcher] - CALLS_A_SECOND * seconds) / ATTEMPTS <= CALLS_AN_ATTEMPT
    # One or two for what is there, and some five a second while nothing is.
    assert requests["Fetch"] <= 4 + 6 * seconds
    assert requests["OffsetCommit"] == 1
    assert requests["Produce"] == 0


async def _attempts(clients: KafkaClients, topics: Topics) -> None:
    """Deliveries, and their outcomes as senders write them."""
    made = [delivery(f"m{number}", NOW - 5000) for number in range(ATTEMPTS)]
    async with clients.producer(linger_ms=100) as producer:
        sent = [await producer.send(topics.deliveries, each.body, each.key, headers=each.headers()) for each in made]
        stored = [await each for each in sent]
        for each, where in zip(made, stored, strict=True):
            value = encode_outcome(outcome(each.message_id, 1, "successful", at=NOW))
            headers = outcome_headers(each, final=True, topic=where.topic, offset=where.offset)
            await producer.send(topics.attempts, value, each.key, partition=where.partition, headers=headers)
        await producer.flush()


def _inserts(clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Inserts by table, from now on."""
    counted: Counter[str] = Counter()
    insert = clickhouse.insert

    async def counting(table: str, *given: Any, **options: Any) -> None:
        counted[table] += 1
        await insert(table, *given, **options)

    monkeypatch.setattr(clickhouse, "insert", counting)
    return counted
