"""2,000 messages to a target that hangs, then 2,000 to a healthy one: `python -m benchmarks.hanging`."""

from collections.abc import Mapping, Sequence
from functools import partial

from benchmarks.events import OBJECTS, object_created, webhook
from benchmarks.flow import a_run, publish, until_arrived
from benchmarks.load import Running, dispatcher, received, receiver, scratch, topics_file
from benchmarks.part import Figures, Part, Sizes
from benchmarks.processes import peaks


async def measure(sizes: Sizes, figures: Figures) -> None:
    async with scratch() as directory, receiver() as url:
        topics = topics_file(directory, schedule=["0s", *["2s"] * 19])  # so that what hung is soon over between runs
        async with dispatcher(sizes.senders, directory / "data", TOPICS_FILE=str(topics)) as running:
            await running.configure(
                webhook(f"wh-{group}", f"{url}{group}/1", entity_types=[group]) for group in ("healthy", "hanging")
            )
            for _ in range(sizes.runs):
                alone = await _healthy(running, url, sizes.messages, ("healthy",))
                await running.settled()
                await received(f"{url}hanging/hang", "PUT")
                async with peaks(running.processes) as most:
                    beside = await _healthy(running, url, sizes.messages, ("hanging", "healthy"))
                for name in ("p50", "p99", "longest"):
                    figures.add(f"the healthy target's {name}", "ms", beside[name])
                    figures.add(f"its {name} when nothing hangs", "ms", alone[name])
                figures.add_each("memory at peak", "MiB", {n: mib for n, mib in most.items() if n != "other"})
                await received(f"{url}hanging/ok", "PUT")
                await until_arrived(url, "hanging", sizes.messages)
                await running.settled()


async def _healthy(running: Running, url: str, messages: int, groups: Sequence[str]) -> Mapping[str, float]:
    """Publish so many messages to each group, one after the other; how soon the healthy target's arrived."""
    run = a_run()
    for group in groups:
        await received(f"{url}{group}", "DELETE")
    for group in groups:
        make = partial(object_created, run=f"{run}-{group}", entity_type=group)
        await publish(running.clients(), OBJECTS, messages, make)
    await until_arrived(url, "healthy", messages)
    found: Mapping[str, float] = await received(f"{url}healthy")
    return found


PART = Part(
    "hanging",
    "2,000 messages to a target that hangs for the 15 s time-out, then 2,000 to a healthy one",
    measure,
    {"messages": 2_000, "senders": 1},
)

if __name__ == "__main__":
    PART.alone()
