"""Deliveries a second when each event is a message for each of 100 webhooks: `python -m benchmarks.fanout`."""

from benchmarks.part import Figures, Part, Sizes
from benchmarks.throughput import flood


async def measure(sizes: Sizes, figures: Figures) -> None:
    await flood(sizes, figures, sizes.webhooks)


PART = Part(
    "fanout",
    "100 webhooks, each event a message for every one",
    measure,
    {"messages": 20_000, "webhooks": 100, "senders": 1},
    {"messages": 100_000},
)

if __name__ == "__main__":
    PART.alone()
