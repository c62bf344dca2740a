"""A soak: `python -m benchmarks.soak [--minutes 60] [--rate 20] [--senders 1]`.

A real `dispatcher up` with good, slow, flaky, failing, hanging, dripping, endless, closing and refusing targets, and a
steady rate of events. At the end it prints what was sent, arrived, was tried again and was twice, and whether memory,
open files, threads and tasks stayed flat. It ends by itself, with 1 if anything was lost, twice or not flat.
"""

import argparse
import asyncio
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import uvloop

from benchmarks.events import OBJECTS, object_created
from benchmarks.flatness import Sample, courses, criterion, sample_of
from benchmarks.load import Running, dispatcher, received, receiver, scratch, topics_file
from benchmarks.mixed_targets import BEHAVIOURS
from tests.support.dispatcher import free_port

SCHEDULE = ("0s", "1s", "3s", "10s")
TIMEOUT_SECONDS = 2
DRAIN_SECONDS = 120.0
RARE_EVERY = 40
"""One in so many events is of the type that bad targets want. A target that hangs is called ten times at once at most:
if more came than can end within the time-out, what waits for it would grow for as long as the soak lasts."""

_EACH_EVENT = ("good", "slow", "flaky", "endless")
_SUCCEED = frozenset(_EACH_EVENT)
_TASKS = re.compile(r"^dispatcher_tasks (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """What became of one webhook's messages, from the API's and the target's point of view."""

    name: str
    sent: int
    metrics: Mapping[str, Any]
    target: Mapping[str, int] | None
    """What the target counted; None for the one that refuses."""

    @property
    def right(self) -> bool:
        ended = self.metrics["successful" if self.name in _SUCCEED else "failed"]
        attempts = {"flaky": 2}.get(self.name, 1 if self.name in _SUCCEED else len(SCHEDULE)) * self.sent
        counted = self.target or {"posts": attempts, "messages": self.sent, "twice": 0}
        return (
            ended == self.metrics["total"] == counted["messages"] == self.sent
            and counted["posts"] == attempts
            and not counted["twice"]
        )

    def __str__(self) -> str:
        target = self.target
        arrived, again, twice = (
            (target["messages"], target["posts"] - target["messages"] - target["twice"], target["twice"])
            if target
            else ("-", "-", "-")
        )
        ended = f"{self.metrics['successful']:>10} {self.metrics['failed']:>7} {self.metrics['pending']:>7}"
        verdict = "as it should be" if self.right else "WRONG"
        return f"{self.name:<10} {self.sent:>7} {arrived:>7} {again:>9} {twice:>5} {ended}  {verdict}"


async def publish(running: Running, *, rate: float, seconds: float) -> int:
    """Publish at a steady rate; how many events."""
    run, started, number = f"{time.time()}", time.monotonic(), 0
    producer = running.clients().producer()
    await producer.start()
    try:
        while (elapsed := time.monotonic() - started) < seconds:
            while number < elapsed * rate:
                event = object_created(number, run, entity_type="Rare" if number % RARE_EVERY == 0 else "Common")
                await producer.send_and_wait(OBJECTS, value=event, partition=number % 6)
                number += 1
            await asyncio.sleep(1 / rate)
    finally:
        await producer.stop()
    return number


async def sample_regularly(running: Running, every: float, samples: list[Sample]) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            sample = sample_of(running.process.pid)
            async with session.get(f"{running.api.url}/metrics") as response:
                tasks = _TASKS.search(await response.text())
            if tasks is not None:
                sample["main", "tasks"] = float(tasks[1])
            samples.append(sample)
            await asyncio.sleep(every)


async def drained(running: Running, webhooks: Mapping[str, str], sent: Mapping[str, int]) -> Mapping[str, Any]:
    """The webhooks' metrics as soon as every message has ended, or when the time for that is over."""
    until = time.monotonic() + DRAIN_SECONDS
    while True:
        metrics = {name: await running.api.request("GET", f"/webhooks/{id}/metrics") for name, id in webhooks.items()}
        ended = all(each["successful"] + each["failed"] >= sent[name] for name, each in metrics.items())
        if ended or time.monotonic() > until:
            return metrics
        await asyncio.sleep(1)


async def soak(given: argparse.Namespace, data_dir: Path, targets: str) -> bool:
    """One soak; whether everything is as it should be."""
    seconds = given.minutes * 60
    samples: list[Sample] = []
    async with dispatcher(
        given.senders,
        data_dir / "data",
        TOPICS_FILE=str(topics_file(data_dir, schedule=list(SCHEDULE))),
        REQUEST_TIMEOUT=f"{TIMEOUT_SECONDS}s",
    ) as running:
        processes = psutil.Process(running.process.pid).children(recursive=True)
        urls = {name: f"{targets}{name}" for name in BEHAVIOURS} | {"refusing": f"http://127.0.0.1:{free_port()}/"}
        webhooks = {
            name: await running.api.create_webhook(name, url, () if name in _EACH_EVENT else ("Rare",))
            for name, url in urls.items()
        }
        await asyncio.sleep(1)  # a webhook holds for events published a second after the answer
        print(f"{given.minutes:g} minutes at {given.rate:g} events a second …", flush=True)
        sampling = asyncio.create_task(sample_regularly(running, max(seconds / 240, 1), samples))
        published = await publish(running, rate=given.rate, seconds=seconds)
        sampling.cancel()
        sent = {name: published if name in _EACH_EVENT else -(-published // RARE_EVERY) for name in urls}
        started = time.monotonic()
        metrics = await drained(running, webhooks, sent)
        drain = time.monotonic() - started
        counted = await received(targets)
    left = [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    results = [Result(name, sent[name], metrics[name], counted.get(name)) for name in urls]
    return report(published, drain, results, samples) and not left


def report(published: int, drain: float, results: list[Result], samples: list[Sample]) -> bool:
    """Print what there is to say; whether it is as it should be."""
    print(f"\n{published} events; the last message ended {drain:.0f} s after the last event\n")
    print("target        sent arrived tried again twice successful  failed pending")
    for result in results:
        print(result)
    print(f"\n{'':<10} {'':<13} quarters of the run, medians")
    over_time = courses(samples)
    for course in over_time:
        values = " ".join(f"{value:>8.0f}" for value in course.quarters)
        print(f"{course.process:<10} {course.what:<13} {values}  {'flat' if course.flat else 'GROWS'}")
    print(criterion())
    right = all(result.right for result in results)
    flat = bool(over_time) and all(course.flat for course in over_time)
    print(f"\n{'nothing lost, nothing twice' if right else 'NOT AS IT SHOULD BE'}; {'flat' if flat else 'NOT FLAT'}")
    return right and flat


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=20, help="events a second")
    parser.add_argument("--senders", type=int, default=1)
    given = parser.parse_args()
    async with asyncio.timeout(given.minutes * 60 + 600), scratch() as directory:
        (directory / "data").mkdir()
        async with receiver("benchmarks.mixed_targets") as targets:
            return 0 if await soak(given, directory, targets) else 1


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
