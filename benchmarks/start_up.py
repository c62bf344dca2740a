"""A start with many webhooks configured: `python -m benchmarks.start_up`."""

import time
from functools import partial

from benchmarks.events import OBJECTS, object_created, webhook
from benchmarks.flow import a_run, publish, until_arrived
from benchmarks.load import broker, configure, dispatcher, received, receiver, scratch
from benchmarks.part import Figures, Part, Sizes
from benchmarks.processes import memory_mib

_OF_AN_ORGANIZATION = 10


async def measure(sizes: Sizes, figures: Figures) -> None:
    async with receiver() as url:
        for count in (0, sizes.webhooks):
            async with scratch() as data_dir:
                async with broker(data_dir) as clients:
                    others = (
                        webhook(f"wh-{n}", f"{url}many/{n}", organization=f"org-{n // _OF_AN_ORGANIZATION}")
                        for n in range(count)
                    )
                    await configure(clients, data_dir, [*others, webhook("wh-last", f"{url}last/1")])
                for _ in range(sizes.runs):
                    await received(f"{url}last", "DELETE")
                    started = time.time()
                    async with dispatcher(sizes.senders, data_dir) as running:
                        with_so_many = f"with {count + 1:,} webhooks"
                        figures.add(f"start → ready, {with_so_many}", "s", time.time() - started)
                        await running.settled()
                        held = {n: mib for n, mib in memory_mib(running.processes()).items() if n != "other"}
                        figures.add_each(f"memory at rest {with_so_many}", "MiB", held)
                        await publish(running.clients(), OBJECTS, 1, partial(object_created, run=a_run()))
                        await until_arrived(url, "last", 1)
        for name in ("main", "senders"):
            held_with, held_without = (
                min(figures.values[f"memory at rest with {count + 1:,} webhooks: {name}", "MiB"])
                for count in (sizes.webhooks, 0)
            )
            figures.add(f"memory of a webhook: {name}", "KiB", (held_with - held_without) * 1024 / sizes.webhooks)


PART = Part(
    "start_up",
    "`dispatcher up` with 100,000 webhooks of 10,000 organizations, and with one",
    measure,
    {"webhooks": 100_000, "senders": 1},
)

if __name__ == "__main__":
    PART.alone()
