"""Where the time of a delivery goes, step by step, and a flame graph of each process: `python -m benchmarks.profiles`.

py-spy looks at a dispatcher that is flooded, a hundred times a second; it needs to be allowed to (root, or
`sysctl kernel.yama.ptrace_scope=0`).
"""

import asyncio
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from benchmarks.events import OBJECTS, object_created, webhook
from benchmarks.flow import a_run, publish, until_arrived
from benchmarks.load import Running, dispatcher, received, receiver, scratch
from benchmarks.part import Figures, Part, Sizes

PY_SPY = Path(sys.executable).with_name("py-spy")
FLAMES = Path("benchmarks/plots")  # py-spy writes it into its graphs: not where this machine has the repo

_SAMPLES_A_SECOND = 100
_WARM_UP_SECONDS = 2
_ALLOWED = "py-spy was not allowed to look: be root, or `sysctl kernel.yama.ptrace_scope=0`"
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
        frames = stack.split(";")
        thread = next((int(found[1]) for frame in frames if (found := _THREAD.match(frame))), 0)
        yield Sample(thread, tuple(frame for frame in frames if not _THREAD.match(frame)), int(times))


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


async def spy(pid: int, seconds: int, path: Path, form: str) -> None:
    """Look at a process.

    Raises:
        NotAllowed: py-spy says why.
    """
    command = (PY_SPY, "record", "--pid", str(pid), "--duration", str(seconds), "--rate", str(_SAMPLES_A_SECOND))
    options = ("--gil", "--threads", "--format", form, "--output", str(path))
    process = await asyncio.create_subprocess_exec(
        *command, *options, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    if process.returncode:
        raise NotAllowed(f"{_ALLOWED}\n{said.decode(errors='replace')}")


async def budget(running: Running, url: str, directory: Path, seconds: int) -> dict[str, Counter[str]]:
    """Microseconds of processor time of one delivery, by process and step."""
    processes = {name: process for name, process in running.processes() if name in ("main", "senders", "broker")}
    python = {name: process for name, process in processes.items() if name != "broker"}
    before = {name: thread_seconds(process) for name, process in processes.items()}
    count = (await received(url))["groups"]["flood"]["messages"]
    raws = {name: directory / f"{name}.raw" for name in python}
    await asyncio.gather(*(spy(process.pid, seconds, raws[name], "raw") for name, process in python.items()))
    deliveries = (await received(url))["groups"]["flood"]["messages"] - count
    found: dict[str, Counter[str]] = {}
    for name, process in processes.items():
        used = thread_seconds(process)
        used.subtract(before[name])
        samples = list(read_samples(raws[name].read_text(encoding="utf-8"))) if name in raws else []
        steps: Counter[str] = Counter()
        for thread, spent in used.items():
            micros = round(spent * 1e6 / deliveries)
            own = [sample for sample in samples if sample.thread == thread]
            total = sum(sample.times for sample in own)
            for sample in own:
                steps[step_of(sample.frames)] += micros * sample.times / total  # type: ignore[assignment]
            if not own:
                steps[_NATIVE.get(name, "other threads")] += micros
        found[name] = steps
    return found


async def measure(sizes: Sizes, figures: Figures) -> None:
    try:
        await look(sizes, figures)
    except NotAllowed as error:
        print(f"  left out: {error}")


async def look(sizes: Sizes, figures: Figures) -> None:
    """Budgets, and then the flame graphs."""
    async with scratch() as data_dir, receiver() as url, dispatcher(sizes.senders, data_dir) as running:
        await running.configure([webhook("wh-0", f"{url}flood/0")])
        for _ in range(sizes.runs):
            await received(f"{url}flood", "DELETE")
            made = partial(object_created, run=a_run())
            flood = asyncio.create_task(publish(running.clients(), OBJECTS, sizes.messages, made))
            await until_arrived(url, "flood", 1)
            await asyncio.sleep(_WARM_UP_SECONDS)
            for process, steps in (await budget(running, url, data_dir, sizes.seconds)).items():
                figures.add(f"{process}", "µs", sum(steps.values()))
                figures.add_each(process, "µs", dict(steps.most_common()))
            await flood
            await until_arrived(url, "flood", sizes.messages)
        await flames(running, url, sizes)


async def flames(running: Running, url: str, sizes: Sizes) -> None:
    """A flame graph of each process of ours, while it is flooded."""
    await received(f"{url}flood", "DELETE")
    made = partial(object_created, run=a_run())
    flood = asyncio.create_task(publish(running.clients(), OBJECTS, sizes.messages, made))
    await until_arrived(url, "flood", 1)
    await asyncio.sleep(_WARM_UP_SECONDS)
    await asyncio.gather(
        *(
            spy(process.pid, sizes.seconds, FLAMES / f"flames-{name}.svg", "flamegraph")
            for name, process in running.processes()
            if name in ("main", "senders")
        )
    )
    await flood
    await until_arrived(url, "flood", sizes.messages)


PART = Part(
    "profiles",
    "microseconds of processor time of one delivery, by process and step, while flooded",
    measure,
    {"messages": 40_000, "seconds": 4, "senders": 1},
)

if __name__ == "__main__":
    PART.alone()
