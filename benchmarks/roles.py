"""Each role in a process of its own: `python -m benchmarks.roles`.

At rest, while flooded, and in a retry storm with a schedule of seconds: memory, and the processor time of a delivery.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from benchmarks.api import Api
from benchmarks.events import OBJECTS, object_created, webhook
from benchmarks.flow import a_run, costs, publish, rate_of, until_arrived
from benchmarks.load import Deployment, api_at, broker, receiver, role_processes, scratch, topics_file
from benchmarks.part import Figures, Part, Sizes
from benchmarks.processes import Processes, memory_mib, peaks, processes_of
from benchmarks.storm import SCHEDULE, WEBHOOKS, failing
from tests.support.clickhouse_server import a_clickhouse_server
from tests.support.dispatcher import free_port

ROLES = ("matcher", "sender", "relay", "recorder", "portal")


@dataclass(frozen=True)
class Apart(Deployment):
    """A broker, ClickHouse, and a process for each role."""

    api: Api
    data_dir: Path
    started: Processes

    def processes(self) -> Processes:
        """By role, `clickhouse` and `broker`."""
        below = [(name, process) for name, process in processes_of(psutil.Process().pid) if name == "broker"]
        return [*self.started, *below]


@asynccontextmanager
async def apart(directory: Path, roles: Sequence[str] = ROLES) -> AsyncIterator[Apart]:
    """All of it in a directory; ClickHouse is the embedded one, behind the HTTP port that tests have for it."""
    data_dir = directory / "data"
    topics = topics_file(directory, schedule=list(SCHEDULE))
    with a_clickhouse_server(directory / "clickhouse") as clickhouse:
        await clickhouse.ready()
        port = free_port()
        settings = {"TOPICS_FILE": str(topics), "CLICKHOUSE_URL": clickhouse.url, "HTTP_PORT": str(port)}
        async with broker(data_dir, topics), role_processes(roles, data_dir, **settings) as started:
            by_role = [(role, psutil.Process(process.pid)) for role, process in zip(roles, started, strict=True)]
            yield Apart(api_at(port, data_dir), data_dir, [*by_role, ("clickhouse", psutil.Process(clickhouse.pid))])


async def measure(sizes: Sizes, figures: Figures) -> None:
    messages = sizes.messages // WEBHOOKS * WEBHOOKS
    for _ in range(sizes.runs):
        async with scratch() as directory, receiver() as url, apart(directory) as running:
            await running.configure(webhook(f"wh-{n}", f"{url}roles/{n}") for n in range(WEBHOOKS))
            await running.settled()
            figures.add_each("memory at rest", "MiB", memory_mib(running.processes()))
            make = partial(object_created, run=a_run())
            measured = Figures(quiet=True)
            async with costs(running, url, messages, measured):
                rate = await rate_of(running, url, "roles", OBJECTS, messages // WEBHOOKS, make, messages)
            figures.add("delivered", "/s", rate)
            for (what, unit), values in measured.values.items():
                if unit == "s" or "peak" in what:
                    figures.add(what.replace("at peak", "at full speed"), unit, values[0])
            figures.add_each("memory in the storm", "MiB", await _storm(running, url, messages, sizes.seconds))


async def _storm(running: Deployment, url: str, messages: int, seconds: int) -> dict[str, float]:
    """The most that each held while everything failed for so long, and until all of it had arrived."""
    async with peaks(running.processes) as most:
        async with failing(url, "roles"):
            await publish(running.clients(), OBJECTS, messages // WEBHOOKS, partial(object_created, run=a_run()))
            await asyncio.sleep(seconds)
        await until_arrived(url, "roles", messages)
        await running.settled()
    return most


PART = Part(
    "roles",
    f"each role as a process of its own: {WEBHOOKS} webhooks, at rest, flooded, and in a retry storm",
    measure,
    {"messages": 20_000, "seconds": 12},
    {"messages": 200_000, "seconds": 120},
)

if __name__ == "__main__":
    PART.alone()
