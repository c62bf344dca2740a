"""What a message costs the matcher, in counts that are the same on every machine.

Where one of these fails, something was added to the way of every message. If it is worth that, raise the bound.
"""

import time
from types import SimpleNamespace

import pytest

import dispatcher
from dispatcher.delivery.pace import BURST
from dispatcher.events.types import EventType
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.matching import matcher as matcher_role
from dispatcher.matching import outbox
from dispatcher.matching.matcher import Matcher
from tests.support.counting import function_calls, kafka_requests, records_in
from tests.support.matching import a_webhook, an_event, following, publish
from tests.support.waiting import eventually

MESSAGES = 500
ALERTS = EventType.ACTIVE_ALERT

CALLS_A_MESSAGE = 88
"""Calls of Python functions of ours: 83 when this was written, 78 of them for each message and the rest for rounds."""

CALLS_A_SECOND = 100
"""Of what a matcher does as time passes: it commits."""

PRODUCE_REQUESTS = 14
"""4 to 7 when this was written; without rounds there would be one a message, or nearly."""


async def test_what_a_message_costs_the_matcher(
    clients: KafkaClients, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine more rounds would end because their time is over, and not because nothing more is there.
    monkeypatch.setattr(outbox, "LINGER_SECONDS", 600.0)
    # There is no end of a slice where no time passes, and nobody's burst grows.
    monkeypatch.setattr(matcher_role, "time", SimpleNamespace(monotonic=lambda: 0.0))
    events = [an_event(ALERTS, id=f"event-{number}") for number in range(MESSAGES)]
    await publish(clients, topics.events[ALERTS], events, linger_ms=200)
    matcher = Matcher(clients, topics, following(a_webhook(ALERTS)))
    written = [*topics.to_send, topics.attempts, topics.notices, topics.dead_letter]

    async with clients.consumer(topics.deliveries, topics.bulk) as looking:

        async def all_matched() -> bool:
            ends = await looking.end_offsets(looking.assignment())
            return bool(sum(ends.values()) >= MESSAGES)

        with kafka_requests(monkeypatch) as requests, function_calls() as calls:
            started = time.monotonic()
            await matcher.start()
            try:
                await eventually(all_matched, timeout=60, every=0.2)
            finally:
                await matcher.stop()
            seconds = time.monotonic() - started

    counted = await records_in(clients, *written)
    assert sum(counted.values()) == counted[topics.deliveries] + counted[topics.bulk] == MESSAGES
    assert counted[topics.deliveries] < 2 * BURST, "the rest is out of the others' way"
    assert (calls[dispatcher] - CALLS_A_SECOND * seconds) / MESSAGES <= CALLS_A_MESSAGE
    assert requests["Produce"] <= PRODUCE_REQUESTS
