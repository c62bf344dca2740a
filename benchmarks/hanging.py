"""2,000 messages to a target that hangs, then 2,000 to a healthy one: `python -m benchmarks.hanging`."""

from functools import partial

from benchmarks.events import OBJECTS, object_created, webhook
from benchmarks.flow import a_run, publish, until_arrived
from benchmarks.load import dispatcher, received, receiver, scratch, topics_file
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
                run = a_run()
                await received(f"{url}hanging/hang", "PUT")
                for group in ("hanging", "healthy"):
                    await received(f"{url}{group}", "DELETE")
                async with peaks(running.processes) as most:
                    for group in ("hanging", "healthy"):
                        await publish(
                            running.clients(),
                            OBJECTS,
                            sizes.messages,
                            partial(object_created, run=f"{run}-{group}", entity_type=group),
                        )
                    await until_arrived(url, "healthy", sizes.messages)
                state = await received(f"{url}healthy")
                for name in ("p50", "p99", "longest"):
                    figures.add(f"the healthy target's {name}", "ms", state[name])
                figures.add_each("memory at peak", "MiB", {n: mib for n, mib in most.items() if n != "other"})
                await received(f"{url}hanging/ok", "PUT")
                await until_arrived(url, "hanging", sizes.messages)
                await running.settled()


PART = Part(
    "hanging",
    "2,000 messages to a target that hangs for the 15 s time-out, then 2,000 to a healthy one",
    measure,
    {"messages": 2_000, "senders": 1},
)

if __name__ == "__main__":
    PART.alone()
