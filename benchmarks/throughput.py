"""Deliveries a second, and what they cost: `python -m benchmarks.throughput [--messages N] [--senders N] [--runs N]`.

In one run: a bare aiohttp client against the receiver, then `dispatcher up` with one webhook (each event one message)
and with 100 (each event a hundred). The rate counts from the first publish to the last arrival.
"""

import argparse
import asyncio
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import uvloop

from benchmarks.load import ORGANIZATION, Running, dispatcher, received, receiver, scratch

BODY = orjson.dumps({"text": "WS-0001 was created by Ada Lovelace", "at": "2026-11-23T10:15:04.120Z"})


async def bare_client(url: str, count: int, connections: int = 64) -> float:
    """POSTs a second of an aiohttp client that does nothing else."""
    headers = {"content-type": "application/json", "webhook-id": "msg_x", "webhook-signature": "v1," + "a" * 44}
    left = iter(range(count))

    async def post(session: aiohttp.ClientSession) -> None:
        for _ in left:
            async with session.post(url, data=BODY, headers=headers) as response:
                await response.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        started = time.perf_counter()
        await asyncio.gather(*(post(session) for _ in range(connections)))
        return count / (time.perf_counter() - started)


def event(number: int, run: str) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": f"{run}-{number}",
            "source": "/portal/objects",
            "type": "object_created",
            "time": datetime.now(UTC).isoformat(),
            "data": {
                "organization_id": ORGANIZATION,
                "organization_name": "Benchmark",
                "entity_type": "Workspace",
                "entity_name": f"WS-{number:06}",
                "entity_id": f"ws-{number}",
                "action": "Creation",
                "triggered_by_name": "Ada Lovelace",
                "triggered_by_email": "ada@example.com",
                "triggered_by_id": "user-1",
            },
        }
    )


async def publish(running: Running, data_dir: Path, events: int, run: str) -> None:
    producer = running.clients(data_dir).producer()
    await producer.start()
    try:
        futures = [
            await producer.send("portal.object-created", value=event(number, run), partition=number % 6)
            for number in range(events)
        ]
        await asyncio.gather(*futures)
    finally:
        await producer.stop()


async def measure(running: Running, data_dir: Path, url: str, *, events: int, messages: int) -> dict[str, Any]:
    """Publish, wait until every message has arrived or two minutes are over, and count."""
    before, cpu_before = await received(url), running.cpu_seconds()
    started = time.time()
    await publish(running, data_dir, events, run=f"{started}")
    state = before
    async with aiohttp.ClientSession() as session:
        while state["count"] - before["count"] < messages and time.time() < started + 120:
            await asyncio.sleep(0.2)
            async with session.get(url) as response:
                state = orjson.loads(await response.read())
    await asyncio.sleep(1)  # the recorder's share comes a moment later
    count = state["count"] - before["count"]
    used = {name: value - cpu_before.get(name, 0.0) for name, value in running.cpu_seconds().items()}
    return {
        "delivered": count,
        "of_messages": state["messages"] - before["messages"],
        "per_second": round(count / (state["last"] - started)),
        "cpu_ms_per_1000": {name: round(seconds * 1e6 / count) for name, seconds in used.items()},
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--senders", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    async with scratch() as data_dir, receiver() as url:
        ceilings = [await bare_client(url, given.messages) for _ in range(given.runs)]
        print(f"bare aiohttp client: {summary(ceilings)} POSTs/s", flush=True)
        async with dispatcher(given.senders, data_dir) as running:
            for webhooks in (1, 100):
                await running.create_webhooks([f"{url}{webhooks}/{n}" for n in range(webhooks - (webhooks > 1))])
                results = []
                for _ in range(given.runs):
                    events = given.messages // webhooks
                    results.append(await measure(running, data_dir, url, events=events, messages=events * webhooks))
                    print(orjson.dumps(results[-1]).decode(), flush=True)
                rates = [result["per_second"] for result in results]
                ratio = statistics.median(rates) / statistics.median(ceilings)
                print(
                    f"{webhooks} webhook(s): {summary(rates)} deliveries/s, {ratio:.2f} of the bare client", flush=True
                )


def summary(values: list[float]) -> str:
    """Minimum, median and maximum."""
    return f"{min(values):,.0f} / {statistics.median(values):,.0f} / {max(values):,.0f}"


if __name__ == "__main__":
    uvloop.run(main())
