"""Where the time of a message goes on its way, from what Kafka's records say of it.

The broker stamps records in whole milliseconds: a hop may be a millisecond longer or shorter than it says, means less.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping

import orjson
from aiokafka import ConsumerRecord

from benchmarks.receiver import SENT
from dispatcher.delivery.record import read_delivery
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.reading import read_up_to

_DELIVERIES = ("webhooks.deliveries", "webhooks.bulk")
_ATTEMPTS = "webhooks.attempts"


async def hops(clients: KafkaClients, since: float) -> Mapping[str, list[float]]:
    """Milliseconds of each hop of every message that was published ``since`` (seconds since the epoch)."""
    of_each: defaultdict[str, list[float]] = defaultdict(list)
    matched: dict[str, int] = {}
    async for record in _all(clients, *_DELIVERIES):
        delivery = read_delivery(record.key, record.value, record.headers)
        found = SENT.search(delivery.body)
        if found is not None and (sent := int(found[1]) / 1_000) >= since * 1_000:
            matched[delivery.message_id] = record.timestamp
            of_each["publish → event stored"].append(delivery.message_created_on - sent)
            of_each["event stored → message stored, by the matcher"].append(
                record.timestamp - delivery.message_created_on
            )
    async for record in _all(clients, _ATTEMPTS):
        outcome = orjson.loads(record.value)
        stored = matched.get(outcome["message_id"])
        if stored is not None and outcome["status"] == "successful":
            of_each["message stored → call begins, by the sender"].append(outcome["executed_on"] - stored)
            of_each["the call, until its answer is read"].append(outcome["duration_ms"])
            ended = outcome["executed_on"] + outcome["duration_ms"]
            of_each["answer read → outcome stored (nobody waits for it)"].append(record.timestamp - ended)
    return of_each


async def _all(clients: KafkaClients, *topics: str) -> AsyncIterator[ConsumerRecord]:
    async with clients.consumer(*topics) as consumer:
        async for _, records in read_up_to(consumer, await consumer.end_offsets(consumer.assignment())):
            for record in records:
                yield record
