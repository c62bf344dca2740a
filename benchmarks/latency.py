"""From publication to arrival: gently, and against load up to saturation: `python -m benchmarks.latency`."""

import statistics
import time
from functools import partial

from benchmarks.events import OBJECTS, object_created, webhook
from benchmarks.flow import a_run, costs, publish_steadily, until_arrived
from benchmarks.hops import hops
from benchmarks.load import Running, dispatcher, received, receiver, scratch
from benchmarks.part import Figures, Part, Sizes

RATES = (50, 100, 200, 500, 1_000, 1_500, 2_000, 3_000, 4_000, 5_000, 6_000, 8_000)
_SATURATED = 0.85
"""Below this share of what is offered arrives in the same time."""


async def at_rate(running: Running, url: str, rate: float, events: int) -> dict[str, float]:
    """Publish steadily; milliseconds from publication to arrival, and the rates."""
    await received(f"{url}steady", "DELETE")
    started = time.time()
    offered = await publish_steadily(
        running.clients(), OBJECTS, events, partial(object_created, run=a_run()), rate=rate
    )
    await until_arrived(url, "steady", events)
    state = await received(f"{url}steady")
    return {
        "offered": offered,
        "reached": events / (state["last"] - started),
        "mean": state["mean"],
        "p50": state["p50"],
        "p90": state["p90"],
        "p99": state["p99"],
        "longest": state["longest"],
    }


async def measure(sizes: Sizes, figures: Figures) -> None:
    async with scratch() as data_dir, receiver() as url, dispatcher(sizes.senders, data_dir) as running:
        await running.configure([webhook("wh-steady", f"{url}steady/1")])
        await at_rate(running, url, sizes.rate, sizes.rate)  # connections open, code warms up
        for _ in range(sizes.runs):
            events = sizes.rate * sizes.seconds
            started = time.time()
            async with costs(running, url, events, figures):
                measured = await at_rate(running, url, sizes.rate, events)
            for name in ("mean", "p50", "p90", "p99", "longest"):
                figures.add(f"publish → arrival at {sizes.rate} a second: {name}", "ms", measured[name])
            for hop, waits in (await hops(running.clients(), started)).items():
                figures.add(f"{hop}: mean", "ms", statistics.fmean(waits))
                figures.add(f"{hop}: p99", "ms", statistics.quantiles(waits, n=100)[-1])
        for _ in range(sizes.runs):
            for rate in RATES:
                point = await at_rate(running, url, rate, rate * sizes.step)
                figures.point("latency against load", rate=rate, **point)
                if point["reached"] < _SATURATED * rate:
                    break


PART = Part(
    "latency",
    "publish → arrival at 200 a second, and against load up to saturation",
    measure,
    {"rate": 200, "seconds": 10, "step": 3, "senders": 1},
    {"seconds": 60, "step": 10},
)

if __name__ == "__main__":
    PART.alone()
