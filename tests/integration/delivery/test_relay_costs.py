"""What a retry costs the relay, in counts that are the same on every machine.

Where one of these fails, something was added to the way of every retry. If it is worth that, raise the bound.
"""

import time

import pytest

import dispatcher
from dispatcher.durations import parse_duration
from dispatcher.observability.metrics import RETRIES_RELAYED
from tests.support.counting import function_calls, kafka_requests, records_in
from tests.support.delivering import Delivering
from tests.support.waiting import eventually

RETRIES = 500

CALLS_A_RETRY = 13
"""Calls of Python functions of ours: 11.5 when this was written."""


async def test_what_a_retry_costs_the_relay(delivering: Delivering, monkeypatch: pytest.MonkeyPatch) -> None:
    clients, topics = delivering.clients, delivering.topics
    waits = topics.retry[parse_duration("1s")]
    await delivering.deliver("wh-1", *(f"msg_{number}" for number in range(RETRIES)), topic=waits)
    # Those that come due one by one cost more calls, and how many do is the machine's affair.
    all_due = time.monotonic() + 1
    await eventually(lambda: time.monotonic() > all_due)

    def relayed() -> float:
        # Not of the registry: what all collectors cost would be counted each time.
        samples = [sample for metric in RETRIES_RELAYED.collect() for sample in metric.samples]
        return sum(each.value for each in samples if each.name.endswith("_total"))

    before = relayed()
    with kafka_requests(monkeypatch) as requests, function_calls() as calls:
        started = time.monotonic()
        relay = await delivering.relay()
        await eventually(lambda: relayed() - before == RETRIES, timeout=30)
        await relay.stop()
        seconds = time.monotonic() - started

    assert sum((await records_in(clients, *topics.to_send)).values()) == RETRIES
    assert calls[dispatcher] / RETRIES <= CALLS_A_RETRY
    # 3 of each when this was written; never one for each.
    assert requests["Produce"] <= 6
    assert requests["OffsetCommit"] <= 6
    assert requests["Fetch"] <= 8 + 8 * seconds
