"""All topics of deliveries get more partitions while messages wait in their retry topics."""

from collections import Counter
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from dispatcher.kafka.administration import apply, read_cluster
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.clock import BrokerClock
from dispatcher.kafka.plan import AddPartitions, plan
from dispatcher.kafka.topics import load_topics
from dispatcher.settings import Settings
from tests.support.delivering import Delivering
from tests.support.kafka import MakeTopics, consume_all, write_topics_file
from tests.support.target import Received, Target, answer, ok
from tests.support.waiting import eventually

BEFORE, AFTER = 3, 7
WEBHOOKS = 12
EACH = 5
SCHEDULE = ("0s", "1s", "2s")

pytestmark = pytest.mark.timeout(240)


class HeldClock(BrokerClock):
    """Nothing is due until it is let go."""

    held = True

    def now(self) -> int:
        return 0 if self.held else super().now()


async def fail_twice(received: Received) -> web.StreamResponse:
    return await (ok if received.attempt == 3 else answer(500))(received)


async def test_what_waits_for_a_retry_is_sent_once_when_partitions_are_added(
    settings: Settings, clients: KafkaClients, make_topics: MakeTopics, target: Target
) -> None:
    topics = await make_topics(SCHEDULE, BEFORE)
    async with AsyncExitStack() as stack:
        delivering = Delivering(settings, clients, topics, stack)
        await delivering.start()
        await delivering.sender()
        clock = HeldClock()
        relay = await delivering.relay(clock)
        webhooks = [f"wh-{number}" for number in range(WEBHOOKS)]
        for id in webhooks:
            # The second attempt fails too: it is made after the change, and what follows it waits again.
            await delivering.webhook(id, target.url(id, fail_twice))
        for id in webhooks:
            await delivering.deliver(id, *(f"{id}-before-{number}" for number in range(EACH)))
        waiting = WEBHOOKS * EACH
        first_wait = topics.retry[topics.schedule.waits[0]]

        async def all_wait() -> bool:
            records = await consume_all(clients, first_wait)
            return sum("message" in dict(record.headers) for record in records) == waiting

        await eventually(all_wait)

        more = load_topics(write_topics_file(settings.topics_file, SCHEDULE, AFTER), settings.kafka_prefix)
        changes = plan(more, await read_cluster(clients, more))
        assert {type(change) for change in changes.changes} == {AddPartitions}
        assert {change.topic for change in changes.changes} == set(topics.of_deliveries)
        await apply(clients, changes)
        assert len(target.received) == waiting

        # A producer that knows of the new partitions, as every other will within ten seconds.
        later = Delivering(settings, clients, topics, stack)
        await later.start()
        for id in webhooks:
            await later.deliver(id, *(f"{id}-after-{number}" for number in range(EACH)))
        await eventually(lambda: len(relay._waiting) == 2 * AFTER, timeout=60, what="the relay has new partitions")
        clock.held = False
        calls = waiting * 3 * 2
        await eventually(lambda: len(target.received) >= calls, timeout=120)
        outcomes = await delivering.outcomes(calls)

    made = Counter((each.message_id, each.attempt) for each in target.received)
    ids = [f"{id}-{when}-{number}" for id in webhooks for when in ("before", "after") for number in range(EACH)]
    assert made == Counter((id, attempt) for id in ids for attempt in (1, 2, 3))
    ended = Counter(each["message_id"] for each in outcomes if each["status"] == "successful")
    assert ended == Counter(ids)
    used = {record.partition for record in await consume_all(clients, topics.deliveries)}
    assert used > set(range(BEFORE)), "nothing went to a new partition"
