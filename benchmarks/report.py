"""Figures as tables and plots in benchmarks/README.md: `python -m benchmarks.report results.json`."""

import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.part import len_of_runs, shown
from benchmarks.plot import Spread, bars, lines, stacks

HERE = Path(__file__).parent
BEGIN, END = "<!-- results: written by benchmarks.report -->", "<!-- end of results -->"

_RATIO, _RATE, _CPU = "of the bare client's rate", "delivered", "CPU of 1,000 deliveries"
_ALL = f"{_CPU}, all server processes"
_NOT_OURS = "(not counted above)"


@dataclass(frozen=True)
class Goal:
    """What a figure's median should be."""

    part: str
    what: str
    limit: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:,g}"


GOALS = (
    Goal("throughput", _RATIO, 0.6, at_least=True),
    Goal("throughput", _RATE, 5_000, at_least=True),
    Goal("throughput", _ALL, 0.30),
    Goal("fanout", _RATE, 6_000, at_least=True),
    Goal("latency", "publish → arrival at 200 a second: p50", 3),
    Goal("latency", "publish → arrival at 200 a second: p99", 10),
    Goal("hanging", "the healthy target's p99", 250),
)

Parts = Mapping[str, Mapping[str, Any]]


def figure(parts: Parts, part: str, what: str) -> Mapping[str, Any] | None:
    """A figure by its name, if it was measured."""
    return next((each for each in parts.get(part, {"figures": ()})["figures"] if each["what"] == what), None)


def goals_table(parts: Parts) -> list[str]:
    lines = ["| | minimum | median | maximum | goal | reached |", "| --- | --: | --: | --: | --: | --- |"]
    for goal in GOALS:
        found = figure(parts, goal.part, goal.what)
        if found is not None:
            reached = "yes" if goal.met(found["median"]) else "no"
            lines.append(f"| {goal.part}: {_what(found)} | {_three(found)} | {goal} | {reached} |")
    return lines


def part_table(part: Mapping[str, Any]) -> list[str]:
    """Ratios first, then the rest in the order in which it was measured."""
    lines = [
        f"<details><summary><b>{part['part']}</b>: {part['title']}</summary>",
        "",
        f"{len_of_runs(part)} runs in {part['seconds']:.0f} s; "
        + ", ".join(f"{name} {value:,}" for name, value in part["sizes"].items() if name != "runs"),
        "",
        "| | minimum | median | maximum |",
        "| --- | --: | --: | --: |",
    ]
    in_order = sorted(part["figures"], key=lambda each: (each["what"] != _RATIO, each["what"] != _RATE))
    lines += [f"| {_what(each)} | {_three(each)} |" for each in in_order]
    return [*lines, "", "</details>", ""]


def plots(parts: Parts) -> dict[str, str]:
    """SVG by file name."""
    made = {}
    rates = {"bare aiohttp client": figure(parts, "ceilings", "bare aiohttp client")}
    rates |= {name: figure(parts, name, _RATE) for name in ("throughput", "fanout", "devices")}
    rates |= {
        f"scale, {count} of each": figure(parts, "scale", f"{count} senders and matchers: {_RATE}")
        for count in (1, 2, 4)
    }
    spreads = {
        name: Spread(each["minimum"], each["median"], each["maximum"])
        for name, each in rates.items()
        if each is not None
    }
    if spreads:
        made["rates.svg"] = bars("Deliveries a second: median, minimum to maximum", spreads, "/s")
    costs = {
        name: pieces
        for name in ("throughput", "fanout", "devices")
        if (pieces := _cpu_pieces(parts, name, f"{_CPU}: "))
    }
    costs |= {
        f"scale, {count} of each": pieces
        for count in (1, 2, 4)
        if (pieces := _cpu_pieces(parts, "scale", f"{count} senders and matchers: {_CPU}: "))
    }
    if costs:
        made["cpu.svg"] = stacks("CPU seconds of 1,000 deliveries, medians", costs, "s")
    against_load = parts.get("latency", {"series": {}})["series"].get("latency against load", [])
    if against_load:
        made["latency.svg"] = lines(
            "Publish → arrival against load",
            {name: _medians(against_load, name) for name in ("p50", "p90", "p99")},
            "published a second",
            "milliseconds",
        )
    return made


def markdown(results: Mapping[str, Any], files: Sequence[str]) -> str:
    """What stands between the markers."""
    parts = {part["part"]: part for part in results["parts"]}
    machine = results["machine"]
    on = f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gib']} GiB, {machine['system']}"
    busy = ", ".join(f"{each:g}" for each in machine["load_average"])
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [
        f"Measured {results['at']} on {on}; load average at the end {busy}. {versions}.",
        "",
        *goals_table(parts),
        "",
        *(f"![{file.removesuffix('.svg')}](plots/{file})\n" for file in files),
    ]
    for part in parts.values():
        lines += part_table(part)
    return "\n".join(lines).rstrip() + "\n"


def write(results: Mapping[str, Any], directory: Path = HERE) -> None:
    """Put the tables into the README and the plots beside it."""
    made = plots({part["part"]: part for part in results["parts"]})
    (directory / "plots").mkdir(exist_ok=True)
    for name, svg in made.items():
        (directory / "plots" / name).write_text(svg, encoding="utf-8")
    readme = directory / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}\n{markdown(results, list(made))}{END}{after}", encoding="utf-8")


def _what(figure: Mapping[str, Any]) -> str:
    unit = figure["unit"]
    return f"{figure['what']}, {unit}" if unit else str(figure["what"])


def _three(figure: Mapping[str, Any]) -> str:
    return " | ".join(shown(figure[name]) for name in ("minimum", "median", "maximum"))


def _cpu_pieces(parts: Parts, part: str, prefix: str) -> dict[str, float]:
    figures = parts.get(part, {"figures": ()})["figures"]
    return {
        each["what"].removeprefix(prefix): each["median"]
        for each in figures
        if each["what"].startswith(prefix) and _NOT_OURS not in each["what"]
    }


def _medians(points: Sequence[Mapping[str, float]], name: str) -> list[tuple[float, float]]:
    """By the rate that was meant to be published."""
    by_rate: defaultdict[float, list[float]] = defaultdict(list)
    for point in points:
        by_rate[point["rate"]].append(point[name])
    return [(rate, statistics.median(values)) for rate, values in by_rate.items()]


if __name__ == "__main__":
    write(orjson.loads(Path(sys.argv[1]).read_bytes()))
