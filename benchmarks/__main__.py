"""Everything in one go: `python -m benchmarks [--json FILE] [--report] [--full] [--tenth] [--runs N] [PART …]`."""

import argparse
import time
from pathlib import Path
from typing import Any

import orjson
import uvloop

from benchmarks import (
    ceilings,
    cold_start,
    devices,
    fanout,
    footprint,
    growth,
    hanging,
    latency,
    pages,
    profiles,
    report,
    roles,
    scale,
    start_up,
    storm,
    takeover,
    throughput,
)
from benchmarks.part import Part, table, write_results

PARTS: tuple[Part, ...] = tuple(
    module.PART
    for module in (
        ceilings,
        throughput,
        fanout,
        devices,
        latency,
        hanging,
        storm,
        cold_start,
        start_up,
        footprint,
        pages,
        profiles,
        takeover,
        roles,
        scale,
        growth,
    )
)

# Sizes that are not how much is sent, but how.
_KEPT = frozenset({"senders", "webhooks", "rate"})


def sizes_of(part: Part, given: argparse.Namespace) -> argparse.Namespace:
    """A part's sizes in this run."""
    sizes = {**part.sizes, **(part.full if given.full else {})}
    if given.tenth:
        sizes = {name: size if name in _KEPT else max(size // 10, 1) for name, size in sizes.items()}
    return argparse.Namespace(runs=given.runs, **sizes)


async def measure(given: argparse.Namespace) -> list[dict[str, Any]]:
    """The parts one after the other, each with a dispatcher of its own."""
    results = []
    for part in PARTS:
        if not given.parts or part.name in given.parts:
            results.append(await part.run(sizes_of(part, given)))
            print("\n".join(table(results[-1])), flush=True)
            if given.json is not None:
                write_results(given.json, results)
    return results


def main() -> None:
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="All benchmarks, one after the other.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(names)}; all by default")
    parser.add_argument("--json", type=Path, help="write the figures there, part by part")
    parser.add_argument("--report", action="store_true", help="write tables and plots into benchmarks/README.md")
    parser.add_argument("--runs", type=int, default=3)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--full", action="store_true", help="long runs: a million events at a cold start, and so on")
    size.add_argument("--tenth", action="store_true", help="a tenth of everything, to see that it works")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(names):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: there are {', '.join(names)}")
    if given.report and given.json is None:
        parser.error("--report needs --json FILE: the figures behind the tables are kept beside them")
    if given.tenth and given.report:
        # Goals are about the whole sizes, and what was measured with them stays.
        print("only to see that it works: results and report are left as they are")
        given.json, given.report = None, False
    started = time.monotonic()
    uvloop.run(measure(given))
    print(f"{(time.monotonic() - started) / 60:.1f} minutes")
    if given.report:
        report.write(orjson.loads(given.json.read_bytes()))


if __name__ == "__main__":
    main()
