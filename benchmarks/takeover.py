"""What a sender reads back when it takes partitions over: `python -m benchmarks.takeover`."""

import asyncio
import time

from aiokafka import TopicPartition

from benchmarks.events import delivery
from benchmarks.load import broker, scratch
from benchmarks.part import Figures, Part, Sizes
from dispatcher.delivery.outcome import Outcome, encode_outcome, outcome_headers
from dispatcher.delivery.record import Delivery
from dispatcher.delivery.takeover import take_over
from dispatcher.delivery.work import Partition
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics, load_topics
from dispatcher.settings import default_topics_file

_GROUP = "webhooks.sender"
_PARTITION = 0
_AT_ONCE = 5_000


async def write_outcomes(clients: KafkaClients, topics: Topics, count: int) -> None:
    """As many successful attempts as senders would report, all of them just now."""
    now = round(time.time() * 1000)
    async with clients.producer(linger_ms=20) as producer:
        for begin in range(0, count, _AT_ONCE):
            written = []
            for number in range(begin, min(begin + _AT_ONCE, count)):
                made = delivery(number, now)
                value = encode_outcome(_outcome(made, now))
                headers = outcome_headers(made, final=True, topic=topics.deliveries, offset=number)
                written.append(
                    await producer.send(topics.attempts, value, made.key, partition=_PARTITION, headers=headers)
                )
            await asyncio.gather(*written)


async def write_parked(clients: KafkaClients, topics: Topics, count: int) -> None:
    """As many deliveries that wait in ``webhooks.parked``."""
    now = round(time.time() * 1000)
    async with clients.producer(linger_ms=20) as producer:
        for begin in range(0, count, _AT_ONCE):
            made = [delivery(number, now) for number in range(begin, min(begin + _AT_ONCE, count))]
            written = [
                await producer.send(topics.parked, each.body, each.key, partition=_PARTITION, headers=each.headers())
                for each in made
            ]
            await asyncio.gather(*written)


async def measure(sizes: Sizes, figures: Figures) -> None:
    topics = load_topics(default_topics_file())
    async with scratch() as data_dir, broker(data_dir) as clients:
        await write_outcomes(clients, topics, sizes.outcomes)
        await write_parked(clients, topics, sizes.parked)
        async with clients.consumer(topics.deliveries, group=_GROUP):
            pass  # the broker knows the group from here on
        for _ in range(sizes.runs):
            partition = Partition()
            took, used = await _took(clients, topics, partition, [])
            assert len(partition.made) == sizes.outcomes
            figures.add(f"reading {sizes.outcomes:,} outcomes back", "s", took)
            figures.add("of that, processor time of the sender", "s", used)
            figures.add("outcomes a second", "/s", sizes.outcomes / took)
            took, _ = await _took(clients, topics, partition, [TopicPartition(topics.parked, _PARTITION)])
            assert len(partition.parked) == sizes.parked
            figures.add(f"reading {sizes.parked:,} parked records", "s", took)


async def _took(
    clients: KafkaClients, topics: Topics, partition: Partition, tps: list[TopicPartition]
) -> tuple[float, float]:
    """Seconds of a takeover, and of a processor."""
    started, used = time.perf_counter(), time.process_time()
    now = round(time.time() * 1000)
    await take_over(clients, topics, _GROUP, tps, partitions={_PARTITION: partition}, now=now)
    return time.perf_counter() - started, time.process_time() - used


def _outcome(delivery: Delivery, now: int) -> Outcome:
    return Outcome(
        organization_id=delivery.organization_id,
        webhook_id=delivery.webhook_id,
        event_type=delivery.event_type.value,
        message_id=delivery.message_id,
        workspace_id="",
        run=1,
        attempt=1,
        status="successful",
        message_created_on=now,
        due_at=now,
        executed_on=now,
        duration_ms=12,
        response_code=200,
        error="",
        reason="",
        target_host="target.example",
        next_attempt_at=None,
        request_url="https://target.example/hooks/orders",
        request_headers={"content-type": "application/json", "webhook-id": delivery.message_id, "x": "y" * 250},
        response_headers={"content-type": "text/plain", "date": "Mon, 23 Nov 2026 10:15:04 GMT"},
        response_body="ok",
        response_truncated=False,
    )


PART = Part(
    "takeover",
    "a sender takes a partition over: outcomes of the last ten minutes are read back, and what is parked",
    measure,
    {"outcomes": 200_000, "parked": 100_000},
    {"outcomes": 2_400_000},
)

if __name__ == "__main__":
    PART.alone()
