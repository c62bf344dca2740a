"""Deliveries a second to one webhook, each event one message, and what they cost: `python -m benchmarks.throughput`."""

from functools import partial

from benchmarks.ceilings import bare_client
from benchmarks.events import OBJECTS, object_created, webhook
from benchmarks.flow import a_run, costs, rate_of
from benchmarks.load import dispatcher, receiver, scratch
from benchmarks.part import Figures, Part, Sizes


async def flood(sizes: Sizes, figures: Figures, webhooks: int) -> None:
    """Publish as fast as it goes, and measure the bare client before each run."""
    events = sizes.messages // webhooks
    messages = events * webhooks
    async with scratch() as data_dir, receiver() as url, dispatcher(sizes.senders, data_dir) as running:
        await running.configure(webhook(f"wh-{n}", f"{url}flood/{n}") for n in range(webhooks))
        for _ in range(sizes.runs):
            bare = await bare_client(url, min(sizes.messages, 20_000))
            async with costs(running, url, messages, figures):
                rate = await rate_of(
                    running,
                    url,
                    "flood",
                    OBJECTS,
                    events,
                    partial(object_created, run=a_run()),
                    messages,
                )
            figures.add("delivered", "/s", rate)
            figures.add("of the bare client's rate", "of 1", rate / bare)


async def measure(sizes: Sizes, figures: Figures) -> None:
    await flood(sizes, figures, 1)


PART = Part(
    "throughput",
    "one webhook, each event one message, published as fast as it goes",
    measure,
    {"messages": 20_000, "senders": 1},
    {"messages": 100_000},
)

if __name__ == "__main__":
    PART.alone()
