"""Where the time of a delivery goes, step by step, and a flame graph of each role: `python -m benchmarks.profiles`.

py-spy looks at processes, a hundred times a second for the steps and more often for the graphs; it needs to be allowed
to (root, or `sysctl kernel.yama.ptrace_scope=0`).
"""

import asyncio
import re
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from benchmarks.events import OBJECTS, object_created, webhook
from benchmarks.flow import a_run, publish, until_arrived
from benchmarks.load import Deployment, Running, dispatcher, received, receiver, scratch
from benchmarks.part import Figures, Part, Sizes
from benchmarks.roles import Apart, apart
from benchmarks.storm import failing

PY_SPY = Path(sys.executable).with_name("py-spy")
FLAMES = Path("benchmarks/plots")

PYTHON = ("main", "senders")
"""The processes that py-spy can look into."""

_SAMPLES_A_SECOND = 100
_DRAWN_SAMPLES_A_SECOND = 500
_WARM_UP_SECONDS = 2
_PEOPLE = 3
_ALLOWED = "py-spy was not allowed to look: be root, or `sysctl kernel.yama.ptrace_scope=0`"
_SAMPLES = re.compile(r'total_samples="(\d+)"')
_THREAD = re.compile(r"thread \((\d+)\)")
_NATIVE = {"main": "ClickHouse", "broker": "the JVM"}
_REST = "event loop and system calls"

STEPS: tuple[tuple[str, str], ...] = (
    ("dispatcher/delivery/signing", "sign"),
    ("dispatcher/delivery/(connections|target|guard|failures)|aiohttp/|yarl/|multidict/", "call the target"),
    ("dispatcher/delivery/(outcome|conclusion|masking|notices)", "conclude and write the outcome"),
    ("dispatcher/delivery/(record|memory|work)|dispatcher/kafka/watermark", "read the delivery, remember it"),
    ("dispatcher/delivery/(lanes|courtesy|rounds|pace|passing|parking)", "whose turn it is"),
    ("dispatcher/kafka/batching|dispatcher/matching/outbox|aiokafka/producer", "produce to Kafka"),
    ("aiokafka/consumer|dispatcher/kafka/(fetching|fetch_session|polling)", "fetch from Kafka"),
    ("aiokafka/", "Kafka's protocol and connections"),
    ("faust/|mode/|dispatcher/matching/(faust_app|turns|slices)", "Faust, and whose turn it is"),
    ("dispatcher/events/", "read the event"),
    ("dispatcher/webhooks/template", "render"),
    ("dispatcher/matching/", "match"),
    ("dispatcher/recording/|clickhouse_connect/|chdb/", "record"),
    ("dispatcher/delivery/(attempt|sender|reports)", "the attempt itself"),
    ("dispatcher/observability|prometheus_client/", "count"),
)
"""By which files a sampled stack is told to be at a step: the frame nearest to its end that is in one decides."""


@dataclass(frozen=True)
class Sample:
    """How often a stack was seen in a thread."""

    thread: int
    frames: tuple[str, ...]
    times: int


def read_samples(raw: str) -> Iterator[Sample]:
    """What py-spy writes with ``--format raw --threads``."""
    for line in raw.splitlines():
        stack, _, times = line.rpartition(" ")
        first, *frames = stack.split(";")
        found = _THREAD.match(first)
        yield Sample(int(found[1]), tuple(frames), int(times)) if found else Sample(0, (first, *frames), int(times))


def step_of(frames: Iterable[str]) -> str:
    """The step at which a stack is."""
    for frame in reversed(tuple(frames)):
        for files, step in STEPS:
            if re.search(rf"\((?:{files})", frame):
                return step
    return _REST


def thread_seconds(process: psutil.Process) -> Counter[int]:
    """Processor time so far, by thread."""
    used: Counter[int] = Counter()
    with suppress(psutil.NoSuchProcess):
        for thread in process.threads():
            used[thread.id] += thread.user_time + thread.system_time
    return used


class NotAllowed(RuntimeError):
    """py-spy may not look at processes here."""


class TooSoonOver(RuntimeError):
    """Nothing was delivered while py-spy looked."""


async def spy(pid: int, seconds: int, path: Path, form: str, rate: int = _SAMPLES_A_SECOND) -> None:
    """Look at a process.

    Raises:
        NotAllowed: py-spy says why.
    """
    command = (str(PY_SPY), "record", "--pid", str(pid), "--duration", str(seconds), "--rate", str(rate))
    options = ("--gil", "--threads", "--format", form, "--output", str(path))
    process = await asyncio.create_subprocess_exec(
        *command, *options, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    if process.returncode:
        raise NotAllowed(f"{_ALLOWED}\n{said.decode(errors='replace')}")


async def budget(running: Running, url: str, directory: Path, seconds: int) -> dict[str, dict[str, float]]:
    """Microseconds of processor time of one delivery, by process and step.

    Raises:
        NotAllowed: py-spy says why.
        TooSoonOver: there was no delivery to look at.
    """
    processes = {name: process for name, process in running.processes() if name in ("main", "senders", "broker")}
    raws = {name: directory / f"{name}.raw" for name in PYTHON}
    before = {name: thread_seconds(process) for name, process in processes.items()}
    count = (await received(url))["groups"]["flood"]["messages"]
    await asyncio.gather(*(spy(processes[name].pid, seconds, raw, "raw") for name, raw in raws.items()))
    deliveries = (await received(url))["groups"]["flood"]["messages"] - count
    if not deliveries:
        raise TooSoonOver(f"the flood was over before {seconds} s of it could be looked at: more --messages")
    found = {}
    for name, process in processes.items():
        used = thread_seconds(process)
        used.subtract(before[name])
        samples = read_samples(raws[name].read_text(encoding="utf-8")) if name in raws else ()
        by_step = seconds_by_step(used, samples, _NATIVE.get(name, "other threads"))
        found[name] = {step: each * 1e6 / deliveries for step, each in by_step.items()}
    return found


def seconds_by_step(used: Mapping[int, float], samples: Iterable[Sample], native: str) -> dict[str, float]:
    """What each thread used, shared out as it was seen; threads that were never seen are ``native``."""
    seen: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for sample in samples:
        seen[sample.thread][step_of(sample.frames)] += sample.times
    steps: defaultdict[str, float] = defaultdict(float)
    for thread, seconds in used.items():
        shares = seen.get(thread, {native: 1})
        total = sum(shares.values())
        for step, times in shares.items():
            steps[step] += seconds * times / total
    return dict(sorted(steps.items(), key=lambda one: one[1], reverse=True))


@asynccontextmanager
async def flooded(running: Deployment, url: str, messages: int) -> AsyncIterator[None]:
    """In the middle of a flood; it has arrived when the block is over."""
    await received(f"{url}flood", "DELETE")
    made = partial(object_created, run=a_run())
    flood = asyncio.create_task(publish(running.clients(), OBJECTS, messages, made))
    await until_arrived(url, "flood", 1)
    await asyncio.sleep(_WARM_UP_SECONDS)
    yield
    await flood
    await until_arrived(url, "flood", messages)


async def measure(sizes: Sizes, figures: Figures) -> None:
    try:
        await look(sizes, figures)
    except (NotAllowed, TooSoonOver) as error:
        print(f"  left out: {error}")


async def look(sizes: Sizes, figures: Figures) -> None:
    """Budgets, and then the flame graphs."""
    async with scratch() as data_dir, receiver() as url, dispatcher(1, data_dir) as running:
        await running.configure([webhook("wh-0", f"{url}flood/0")])
        budgets = []
        for _ in range(sizes.runs):
            async with flooded(running, url, sizes.messages):
                budgets.append(await budget(running, url, data_dir, sizes.seconds))
    for found in budgets:
        for process, steps in found.items():
            figures.add(process, "µs", sum(steps.values()))
            # What was never seen in one of the runs took nothing there.
            every = dict.fromkeys(step for other in budgets for step in other[process])
            figures.add_each(process, "µs", {step: steps.get(step, 0.0) for step in every})
    async with scratch() as directory, receiver() as url, apart(directory) as roles:
        await roles.configure([webhook("wh-0", f"{url}flood/0")])
        async with flooded(roles, url, 2 * sizes.messages):
            await draw(roles, figures, sizes.seconds, "matcher", "sender", "recorder")
        async with retried(roles, url, sizes.messages):
            await draw(roles, figures, sizes.seconds, "relay")
        async with asked(roles):
            await draw(roles, figures, sizes.seconds, "portal")


async def draw(running: Apart, figures: Figures, seconds: int, *roles: str) -> None:
    """A flame graph of each role as it works, and how many samples it has."""
    graphs = {name: FLAMES / f"flames-{name}.svg" for name in roles}
    pids = {name: process.pid for name, process in running.processes() if name in roles}
    looks = (spy(pids[name], seconds, at, "flamegraph", _DRAWN_SAMPLES_A_SECOND) for name, at in graphs.items())
    await asyncio.gather(*looks)
    for name, graph in graphs.items():
        drawn = graph.read_text(encoding="utf-8")
        # Its command line is its title, which shall not say where this machine has what.
        graph.write_text(drawn.replace(str(PY_SPY), "py-spy"), encoding="utf-8")
        found = _SAMPLES.search(drawn)
        figures.add(f"samples of the flame graph: {name}", "", float(found[1]) if found else 0)


@asynccontextmanager
async def retried(running: Apart, url: str, messages: int) -> AsyncIterator[None]:
    """While every attempt fails; all has arrived when the block is over."""
    async with failing(url, "flood"):
        await publish(running.clients(), OBJECTS, messages, partial(object_created, run=a_run()))
        await asyncio.sleep(_WARM_UP_SECONDS)
        yield
    await until_arrived(url, "flood", messages)


@asynccontextmanager
async def asked(running: Apart) -> AsyncIterator[None]:
    """While a few people ask the API for webhooks and how they do, one thing after the other."""
    paths = ("/webhooks", "/webhooks/wh-0", "/webhooks/wh-0/metrics", "/webhooks/wh-0/attempts")

    async def ask() -> None:
        while True:
            for path in paths:
                await running.api.request("GET", path)

    async with asyncio.TaskGroup() as people:
        asking = [people.create_task(ask()) for _ in range(_PEOPLE)]
        yield
        for each in asking:
            each.cancel()


PART = Part(
    "profiles",
    "microseconds of processor time of one delivery, by process and step, while flooded",
    measure,
    {"messages": 40_000, "seconds": 4},
)

if __name__ == "__main__":
    PART.alone()
