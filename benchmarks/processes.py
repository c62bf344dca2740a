"""The processes of a dispatcher, by what they are, and what they cost."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress

import psutil

_MEMORY_EVERY_SECONDS = 0.5

Processes = list[tuple[str, psutil.Process]]


def processes_of(main: int) -> Processes:
    """The process of `dispatcher up` and those below it: main, broker, senders, and what else there is."""
    root = psutil.Process(main)
    found: Processes = [("main", root)]
    for process in sorted(root.children(recursive=True), key=lambda each: each.pid):
        with suppress(psutil.NoSuchProcess):
            command = " ".join(process.cmdline())
            name = "broker" if "kafka.Kafka" in command else "senders" if "run sender" in command else "other"
            found.append((name, process))
    return found


def cpu_seconds(processes: Iterable[tuple[str, psutil.Process]]) -> Counter[str]:
    """Processor time so far, by name."""
    used: Counter[str] = Counter()
    for name, process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used[name] += times.user + times.system
    return used


def memory_mib(processes: Iterable[tuple[str, psutil.Process]]) -> Counter[str]:
    """Resident memory, by name."""
    held: Counter[str] = Counter()
    for name, process in processes:
        with suppress(psutil.NoSuchProcess):
            held[name] += process.memory_info().rss / 2**20
    return held


@asynccontextmanager
async def peaks(processes: Callable[[], Processes]) -> AsyncIterator[dict[str, float]]:
    """The largest resident memory by name, looked at twice a second for as long as the block runs."""
    most: defaultdict[str, float] = defaultdict(float)

    async def look_regularly() -> None:
        while True:
            for name, mib in memory_mib(processes()).items():
                most[name] = max(most[name], mib)
            await asyncio.sleep(_MEMORY_EVERY_SECONDS)

    looking = asyncio.create_task(look_regularly())
    try:
        yield most
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
