"""Everything fails, then heals: how soon is the backlog gone? `python -m benchmarks.storm`.

By a short schedule of its own, so that it takes seconds and not hours; a message waits for its longest delay at most.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from benchmarks.events import OBJECTS, object_created, webhook
from benchmarks.flow import a_run, costs, publish, until_arrived
from benchmarks.load import dispatcher, received, receiver, scratch, topics_file
from benchmarks.part import Figures, Part, Sizes

WEBHOOKS = 20
LONGEST_SECONDS = 5
SCHEDULE = ("0s", "1s", "2s", *[f"{LONGEST_SECONDS}s"] * 40)


@asynccontextmanager
async def failing(url: str, group: str) -> AsyncIterator[None]:
    """Every attempt at a target of the group fails until the block is over; what arrived before is forgotten."""
    await received(f"{url}{group}/fail", "PUT")
    await received(f"{url}{group}", "DELETE")
    yield
    await received(f"{url}{group}/ok", "PUT")


async def measure(sizes: Sizes, figures: Figures) -> None:
    messages = sizes.messages // WEBHOOKS * WEBHOOKS
    async with scratch() as directory, receiver() as url:
        topics = topics_file(directory, schedule=list(SCHEDULE))
        async with dispatcher(sizes.senders, directory / "data", TOPICS_FILE=str(topics)) as running:
            await running.configure(webhook(f"wh-{n}", f"{url}storm/{n}") for n in range(WEBHOOKS))
            for _ in range(sizes.runs):
                run = a_run()
                make = partial(object_created, run=run)
                async with costs(running, url, messages, figures):
                    async with failing(url, "storm"):
                        await publish(running.clients(), OBJECTS, messages // WEBHOOKS, make)
                        await asyncio.sleep(sizes.seconds)
                        failed = (await received(f"{url}storm"))["count"]
                    healed = time.time()
                    state = await until_arrived(url, "storm", messages)
                figures.add("attempts that failed before, for each message", "", failed / messages)
                figures.add(
                    f"backlog gone after healing (a wait is up to {LONGEST_SECONDS} s)", "s", state["last"] - healed
                )


PART = Part(
    "storm",
    "every attempt to 20 webhooks fails for some seconds, then all heal",
    measure,
    {"messages": 10_000, "seconds": 12, "senders": 1},
    {"messages": 100_000, "seconds": 120},
)

if __name__ == "__main__":
    PART.alone()
