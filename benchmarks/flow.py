"""What the parts have in common: publishing, waiting until it has arrived, and what that took."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from benchmarks.load import Deployment, received
from benchmarks.part import Figures
from benchmarks.processes import memory_mib, peaks
from dispatcher.kafka.clients import KafkaClients

PARTITIONS = 6
"""Of the topics that Portal publishes to, in topics.yaml."""

_PATIENCE_SECONDS = 180.0
_LOOK_EVERY_SECONDS = 0.1


async def publish(clients: KafkaClients, topic: str, events: int, make: Callable[[int], bytes]) -> None:
    """As fast as it goes."""
    await publish_steadily(clients, topic, events, make, rate=float("inf"))


async def publish_steadily(
    clients: KafkaClients, topic: str, events: int, make: Callable[[int], bytes], *, rate: float
) -> float:
    """So many events a second; how many a second they really were."""
    async with clients.producer() as producer:
        await producer.partitions_for(topic)
        started, futures, number = time.monotonic(), [], 0
        while number < events:
            due = events if rate == float("inf") else min(int((time.monotonic() - started) * rate) + 1, events)
            futures += [
                await producer.send(topic, value=make(each), partition=each % PARTITIONS) for each in range(number, due)
            ]
            number = due
            if number < events:
                await asyncio.sleep(max(started + number / rate - time.monotonic(), 0))
        took = time.monotonic() - started
        await asyncio.gather(*futures)
    return events / max(took, 1e-9)


async def until_arrived(url: str, group: str, messages: int, within: float = _PATIENCE_SECONDS) -> dict[str, Any]:
    """What the receiver has counted of a group, as soon as so many different messages have arrived.

    Raises:
        TimeoutError: they have not arrived in time; the message says how many have.
    """
    state: dict[str, Any] = {}
    until = time.monotonic() + within
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(url) as response:
                state = orjson.loads(await response.read())["groups"].get(group, {"messages": 0})
            if state["messages"] >= messages:
                return state
            if time.monotonic() > until:
                raise TimeoutError(f"{state['messages']} of {messages} have arrived after {within:.0f} s")
            await asyncio.sleep(_LOOK_EVERY_SECONDS)


@asynccontextmanager
async def costs(running: Deployment, url: str, deliveries: int, figures: Figures) -> AsyncIterator[None]:
    """Adds what the block costs: processor time of 1,000 deliveries by process, and memory.

    The block is over when what follows deliveries, such as recording them, is done too.
    """
    at_rest = memory_mib(running.processes())
    before, load_before = running.cpu_seconds(), time.process_time()
    receiver_before, started = (await received(url))["cpu_seconds"], time.monotonic()
    async with peaks(running.processes) as most:
        yield
        busy, receiver_used = time.monotonic() - started, (await received(url))["cpu_seconds"] - receiver_before
        load_used = time.process_time() - load_before
        await running.settled()
    used: Counter[str] = running.cpu_seconds()
    used.subtract(before)
    server = {name: max(seconds, 0.0) for name, seconds in used.items() if name != "other"}
    figures.add("CPU of 1,000 deliveries, all server processes", "s", sum(server.values()) * 1_000 / deliveries)
    figures.add_each("CPU of 1,000 deliveries", "s", {name: each * 1_000 / deliveries for name, each in server.items()})
    figures.add("CPU of 1,000 deliveries: receiver (not counted above)", "s", receiver_used * 1_000 / deliveries)
    figures.add("CPU of 1,000 deliveries: publisher (not counted above)", "s", load_used * 1_000 / deliveries)
    figures.add("receiver's share of a core", "%", 100 * receiver_used / busy)
    for name in server:
        figures.add(f"memory at rest: {name}", "MiB", at_rest[name])
        figures.add(f"memory at peak: {name}", "MiB", most[name])


async def rate_of(
    running: Deployment, url: str, group: str, topic: str, events: int, make: Callable[[int], bytes], messages: int
) -> float:
    """Publish events and wait for their messages: deliveries a second, from the first publish to the last arrival."""
    await received(f"{url}{group}", "DELETE")
    started = time.time()
    await publish(running.clients(), topic, events, make)
    state = await until_arrived(url, group, messages)
    return float(state["count"] / (state["last"] - started))


def a_run() -> str:
    """What makes the ids of a run's events differ from those of all others."""
    return f"{time.time_ns():x}"
