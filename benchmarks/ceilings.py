"""What the libraries reach that do nothing else: `python -m benchmarks.ceilings`."""

import asyncio
import time

import aiohttp
import orjson
from aiokafka import TopicPartition

from benchmarks.events import OBJECTS, object_created
from benchmarks.flow import PARTITIONS, publish
from benchmarks.load import broker, receiver, scratch
from benchmarks.part import Figures, Part, Sizes
from dispatcher.kafka.clients import KafkaClients

BODY = orjson.dumps(
    {"text": "WS-000001 was created by Ada Lovelace", "at": "2026-11-23T10:15:04.120Z", "sent": "1795000000000000"}
)
_HEADERS = {"content-type": "application/json", "webhook-id": "msg_x", "webhook-signature": "v1," + "a" * 44}


async def bare_client(url: str, posts: int, connections: int = 64) -> float:
    """POSTs a second of an aiohttp client that does nothing else."""
    left = iter(range(posts))

    async def post(session: aiohttp.ClientSession) -> None:
        for _ in left:
            async with session.post(f"{url}bare/1", data=BODY, headers=_HEADERS) as response:
                await response.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        started = time.perf_counter()
        await asyncio.gather(*(post(session) for _ in range(connections)))
        return posts / (time.perf_counter() - started)


async def bare_producer(clients: KafkaClients, records: int) -> float:
    """Records a second of an aiokafka producer that writes events."""
    event = object_created(1, "bare")
    started = time.perf_counter()
    await publish(clients, OBJECTS, records, lambda _: event)
    return records / (time.perf_counter() - started)


async def bare_consumer(clients: KafkaClients, records: int) -> float:
    """Records a second of an aiokafka consumer that reads them all and does nothing with them."""
    async with clients.consumer() as consumer:
        consumer.assign([TopicPartition(OBJECTS, number) for number in range(PARTITIONS)])
        await consumer.seek_to_beginning()
        started, read = time.perf_counter(), 0
        while read < records:
            for batch in (await consumer.getmany(timeout_ms=1_000)).values():
                read += len(batch)
        return read / (time.perf_counter() - started)


async def measure(sizes: Sizes, figures: Figures) -> None:
    async with scratch() as data_dir, receiver() as url, broker(data_dir) as clients:
        written = 0
        for _ in range(sizes.runs):
            used = time.process_time()
            figures.add("bare aiohttp client", "POSTs/s", await bare_client(url, sizes.posts))
            figures.add("bare aiohttp client: CPU of 1,000", "s", (time.process_time() - used) * 1_000 / sizes.posts)
            used = time.process_time()
            figures.add("bare aiokafka producer", "records/s", await bare_producer(clients, sizes.records))
            produced = time.process_time()
            figures.add("bare aiokafka producer: CPU of 1,000", "s", (produced - used) * 1_000 / sizes.records)
            written += sizes.records
            used = time.process_time()
            figures.add("bare aiokafka consumer", "records/s", await bare_consumer(clients, written))
            figures.add("bare aiokafka consumer: CPU of 1,000", "s", (time.process_time() - used) * 1_000 / written)


PART = Part(
    "ceilings",
    "a bare aiohttp client, a bare aiokafka producer and consumer",
    measure,
    {"posts": 20_000, "records": 50_000},
)

if __name__ == "__main__":
    PART.alone()
