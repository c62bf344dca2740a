"""A start with events waiting in Kafka: until the first and the last message: `python -m benchmarks.cold_start`."""

import time
from functools import partial
from pathlib import Path

from benchmarks.events import OBJECTS, object_created, webhook
from benchmarks.flow import a_run, costs, publish, until_arrived
from benchmarks.load import broker, configure, dispatcher, received, receiver, scratch
from benchmarks.part import Figures, Part, Sizes

_SLOWEST = 100.0
"""Deliveries a second that are waited for."""


async def prepare(data_dir: Path, url: str, messages: int) -> None:
    """A data directory as a dispatcher leaves it that went away before it had read anything."""
    async with broker(data_dir) as clients:
        await configure(clients, data_dir, [webhook("wh-cold", f"{url}cold/1")])
        await publish(clients, OBJECTS, messages, partial(object_created, run=a_run()))


async def measure(sizes: Sizes, figures: Figures) -> None:
    for _ in range(sizes.runs):
        async with scratch() as data_dir, receiver() as url:
            await prepare(data_dir, url, sizes.messages)
            started = time.time()
            async with dispatcher(sizes.senders, data_dir) as running:
                figures.add("start → ready", "s", time.time() - started)
                async with costs(running, url, sizes.messages, figures):
                    state = await until_arrived(url, "cold", sizes.messages, 120 + sizes.messages / _SLOWEST)
                figures.add("start → first arrival", "s", state["first"] - started)
                figures.add("start → last arrival", "s", state["last"] - started)
                figures.add(
                    "delivered, from the first to the last", "/s", state["count"] / (state["last"] - state["first"])
                )
                figures.add(
                    "delivered more than once", "", (await received(url))["groups"]["cold"]["count"] - sizes.messages
                )


PART = Part(
    "cold_start",
    "`dispatcher up` with events waiting that nobody has read",
    measure,
    {"messages": 50_000, "senders": 1},
    {"messages": 1_000_000},
)

if __name__ == "__main__":
    PART.alone()
