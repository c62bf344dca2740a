"""How long the portal takes for each page, with many webhooks and attempts: `python -m benchmarks.pages`."""

import time
from pathlib import Path

import aiohttp

from benchmarks.clickhouse import LARGE, close_all_hours, generate, generate_the_last_half_hour
from benchmarks.events import ORGANIZATION, webhook
from benchmarks.load import Running, broker, configure, dispatcher, scratch
from benchmarks.part import Figures, Part, Sizes
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.schema import migrate

_WEBHOOKS = f"/organizations/{ORGANIZATION}/webhooks"
_OF_LARGE = f"{_WEBHOOKS}/{LARGE}"
_PAGES = {
    "overview": _WEBHOOKS,
    "overview, by success rate": f"{_WEBHOOKS}?sort=-success_rate",
    "overview, searched": f"{_WEBHOOKS}?search=wh-00",
    "new": f"{_WEBHOOKS}/new",
    "webhook": _OF_LARGE,
    "webhook, edit": f"{_OF_LARGE}/edit",
    "webhook, audit": f"{_OF_LARGE}?tab=audit",
    "webhook, metrics: the page": f"{_OF_LARGE}?tab=metrics",
    "webhook, metrics: what follows it": f"{_OF_LARGE}?tab=metrics&whole=",
    "webhook, metrics: failed": f"{_OF_LARGE}?tab=metrics&whole=&status=failed",
}
_TIMES = 10


async def _recorded(data_dir: Path, attempts: int, webhooks: int) -> None:
    clickhouse = ClickHouse(f"chdb://{data_dir / 'clickhouse'}")
    try:
        await migrate(clickhouse)
        await generate(clickhouse, attempts, webhooks)
        await close_all_hours(clickhouse)
        await generate_the_last_half_hour(clickhouse, attempts, webhooks)
    finally:
        await clickhouse.close()


async def _visit(running: Running, figures: Figures, runs: int) -> None:
    # Cookies of an address that is a number are otherwise not kept.
    async with aiohttp.ClientSession(running.api, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        origin = {"Origin": running.api}
        async with session.post("/sign-in", data={"token": running.token}, headers=origin) as response:
            response.raise_for_status()

        async def get(path: str) -> float:
            began = time.perf_counter()
            async with session.get(path) as response:
                response.raise_for_status()
                await response.read()
            return (time.perf_counter() - began) * 1000

        for _ in range(runs):
            for what, path in _PAGES.items():
                await get(path)
                figures.add(what, "ms", min([await get(path) for _ in range(_TIMES)]))
        attempts = await running.request("GET", f"/webhooks/{LARGE}/attempts?limit=1")
        details = f"{_OF_LARGE}/attempts/{attempts['items'][0]['id']}"
        for _ in range(runs):
            figures.add("attempt, details", "ms", min([await get(details) for _ in range(_TIMES)]))


async def measure(sizes: Sizes, figures: Figures) -> None:
    async with scratch() as data_dir:
        async with broker(data_dir) as clients:
            of_all = (webhook(f"wh-{n:05}", f"http://127.0.0.1:9/{n}") for n in range(sizes.webhooks))
            await configure(clients, data_dir, of_all)
        await _recorded(data_dir, sizes.attempts, sizes.webhooks)
        async with dispatcher(0, data_dir) as running:
            await _visit(running, figures, sizes.runs)


PART = Part(
    "pages",
    "best of ten for each page, 1,000 webhooks and a million attempts, the last half hour open",
    measure,
    {"webhooks": 1_000, "attempts": 1_000_000},
)

if __name__ == "__main__":
    PART.alone()
