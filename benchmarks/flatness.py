"""Whether what processes hold stays flat: samples over time, and the criterion."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from benchmarks.processes import processes_of

Sample = Mapping[tuple[str, str], float]
"""What was measured at one time, by process and by what was measured."""

# How much more the last quarter of a run may hold than the second one, as a share and as an amount; the larger counts.
# In short runs the embedded ClickHouse is still warming up: when it first merges it starts some 130 threads and opens
# dozens of files, once. In an hour, with some 200,000 attempts between the two quarters, a file or thread that is not
# let go of in one of a thousand attempts exceeds the amounts.
ALLOWED_GROWTH = {
    "memory (MiB)": (0.10, 64.0),
    "open files": (0.05, 96.0),
    "threads": (0.0, 144.0),
    "tasks": (0.10, 64.0),
}


@dataclass(frozen=True)
class Course:
    """How one thing went over a run: medians of the quarters."""

    process: str
    what: str
    quarters: tuple[float, float, float, float]

    @property
    def flat(self) -> bool:
        _, before, _, last = self.quarters
        share, amount = ALLOWED_GROWTH[self.what]
        return last - before <= max(share * before, amount)


def courses(samples: Iterable[Sample]) -> list[Course]:
    """The course of each thing that was measured at least eight times."""
    series: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for sample in samples:
        for key, value in sample.items():
            series[key].append(value)
    made = []
    for (process, what), values in sorted(series.items()):
        if len(values) >= 8:
            edges = [len(values) * part // 4 for part in range(5)]
            first, second, third, fourth = (median(values[edges[n] : edges[n + 1]]) for n in range(4))
            made.append(Course(process, what, (first, second, third, fourth)))
    return made


def criterion() -> str:
    """The criterion in words."""
    limits = ", ".join(f"{what}: {share:.0%} or {amount:g}" for what, (share, amount) in ALLOWED_GROWTH.items())
    return f"flat: the median of the last quarter exceeds that of the second by at most ({limits}; the larger counts)"


def _open_files(pid: int) -> int:
    """How many files a process has open, but for what each thread of ClickHouse's has of its own: those are threads."""
    files = Path(f"/proc/{pid}/fd")
    return sum(not _points_to(each).startswith(f"/proc/{pid}/task/") for each in files.iterdir())


def _points_to(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # closed meanwhile
        return ""


def sample_of(main: int) -> dict[tuple[str, str], float]:
    """What a dispatcher's processes hold now."""
    held: dict[tuple[str, str], float] = {}
    senders = 0
    for role, process in processes_of(main):
        try:
            if role == "other":
                continue
            senders += role == "senders"
            name = f"sender {senders}" if role == "senders" else role
            held[name, "memory (MiB)"] = process.memory_info().rss / 2**20
            held[name, "open files"] = _open_files(process.pid)
            held[name, "threads"] = process.num_threads()
        except (psutil.NoSuchProcess, FileNotFoundError):
            continue
    return held
