"""How long the portal takes for each page, with many webhooks and attempts: `python -m benchmarks.pages`."""

import asyncio
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import aiohttp

from benchmarks.clickhouse import LARGE, close_all_hours, generate, generate_the_last_half_hour
from benchmarks.events import ORGANIZATION, webhook
from benchmarks.load import Running, broker, configure, dispatcher, scratch, settings_in
from benchmarks.part import Figures, Part, Sizes
from dispatcher.events.resources import Resource
from dispatcher.events.types import ResourceKind
from dispatcher.portal.pages.visit import PART_HEADER
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.schema import migrate

_WEBHOOKS = f"/organizations/{ORGANIZATION}/webhooks"
_OF_LARGE = f"{_WEBHOOKS}/{LARGE}"
_WITH_ITEMS = "wh-with-items"
_ITEMS = 1_000
_RESOURCES = 5_000
_PAGES = {
    "overview": _WEBHOOKS,
    "overview, by success rate": f"{_WEBHOOKS}?sort=-success_rate",
    "overview, searched": f"{_WEBHOOKS}?search=wh-00",
    "new": f"{_WEBHOOKS}/new",
    "webhook": _OF_LARGE,
    "webhook with 1,000 items": f"{_WEBHOOKS}/{_WITH_ITEMS}",
    "webhook with 1,000 items, edit": f"{_WEBHOOKS}/{_WITH_ITEMS}/edit",
    "webhook, audit": f"{_OF_LARGE}?tab=audit",
    "webhook, metrics": f"{_OF_LARGE}?tab=metrics",
}
_METRICS = ("messages", "attempts")
# What a page's script asks for once it is there; several at once.
_FOLLOWS: Mapping[str, tuple[str, Sequence[str]]] = {
    "overview: what follows": (_WEBHOOKS, ["deliveries"]),
    "overview, by success rate: what follows": (f"{_WEBHOOKS}?sort=-success_rate", ["deliveries"]),
    "overview, searched: what follows": (f"{_WEBHOOKS}?search=wh-00", ["deliveries"]),
    **{f"webhook, metrics: {part}": (f"{_OF_LARGE}?tab=metrics", [part]) for part in _METRICS},
    "webhook, metrics: both at once": (f"{_OF_LARGE}?tab=metrics", _METRICS),
    "webhook, metrics: attempts, failed": (f"{_OF_LARGE}?tab=metrics&status=failed", ["attempts"]),
}
_TIMES = 20


def _resources() -> Iterable[Resource]:
    for n in range(_RESOURCES):
        name = f"Type of object {n}"
        yield Resource(organization_id=ORGANIZATION, kind=ResourceKind.OBJECT, id=f"type-{n}", name=name)


async def _recorded(data_dir: Path, attempts: int, webhooks: int) -> None:
    clickhouse = ClickHouse(settings_in(data_dir).clickhouse)
    try:
        await migrate(clickhouse)
        await generate(clickhouse, attempts, webhooks)
        await close_all_hours(clickhouse)
        await generate_the_last_half_hour(clickhouse, attempts, webhooks)
    finally:
        await clickhouse.close()


async def _visit(running: Running, figures: Figures, runs: int) -> None:
    # Cookies of an address that is a number are otherwise not kept.
    jar = aiohttp.CookieJar(unsafe=True)
    browser = {"Sec-Fetch-Mode": "navigate"}
    async with aiohttp.ClientSession(running.api.url, cookie_jar=jar, headers=browser) as session:
        origin = {"Origin": running.api.url}
        async with session.post("/sign-in", data={"token": running.api.token}, headers=origin) as response:
            response.raise_for_status()

        async def ask(path: str, headers: Mapping[str, str]) -> None:
            async with session.get(path, headers=headers) as response:
                response.raise_for_status()
                await response.read()

        async def get(path: str, parts: Sequence[str]) -> float:
            began = time.perf_counter()
            await asyncio.gather(*(ask(path, {PART_HEADER: part}) for part in parts or [""]))
            return (time.perf_counter() - began) * 1000

        attempts = await running.api.request("GET", f"/webhooks/{LARGE}/attempts?limit=1")
        details = f"{_OF_LARGE}/attempts/{attempts['items'][0]['id']}"
        for _ in range(runs):
            pages = {what: (path, ()) for what, path in {**_PAGES, "attempt, details": details}.items()}
            for what, (path, parts) in {**pages, **_FOLLOWS}.items():
                await get(path, parts)
                took = [await get(path, parts) for _ in range(_TIMES)]
                figures.add(f"{what}: best", "ms", min(took))
                figures.add(f"{what}: median", "ms", statistics.median(took))


async def measure(sizes: Sizes, figures: Figures) -> None:
    async with scratch() as data_dir:
        async with broker(data_dir) as clients:
            of_all = (webhook(f"wh-{n:05}", f"http://127.0.0.1:9/{n}") for n in range(sizes.webhooks))
            items = webhook(_WITH_ITEMS, "http://127.0.0.1:9/", entity_types=[f"type-{n}" for n in range(_ITEMS)])
            await configure(clients, data_dir, [*of_all, items])
            async with clients.producer(linger_ms=5) as producer:
                for resource in _resources():
                    await producer.send("portal.resources", resource.model_dump_json().encode(), resource.key)
                await producer.flush()
        await _recorded(data_dir, sizes.attempts, sizes.webhooks)
        async with dispatcher(0, data_dir) as running:
            await _visit(running, figures, sizes.runs)


PART = Part(
    "pages",
    "each page, request to answer, with 1,000 webhooks and a million attempts, the last half hour open",
    measure,
    {"webhooks": 1_000, "attempts": 1_000_000},
)

if __name__ == "__main__":
    PART.alone()
