"""Letting a simulated Portal publish at a steady rate."""

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from dispatcher.events.publishing import PublishingBroken, Sending
from dispatcher.events.simulator.portal import Portal
from dispatcher.events.types import EventType
from dispatcher.kafka.topics import Topics

_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/(s|m|h))?", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600}

_MOST_BEHIND_SECONDS = 1
_TURNS_IN_A_ROW = 64


def parse_rate(text: str) -> float:
    """Read ``<number>[/s|/m|/h]`` as events per second.

    Raises:
        ValueError: it is not of that form, or nothing would ever happen.
    """
    match = _RATE.fullmatch(text.strip())
    rate = float(match[1]) / _SECONDS[match[2] or "s"] if match else 0
    if rate <= 0:
        raise ValueError(f"{text!r} is not a rate; write a number and /s, /m or /h, such as 20/s")
    return rate


def utc_now() -> datetime:
    """The clock on the wall."""
    return datetime.now(UTC)


async def publish_resources(producer: AIOKafkaProducer, topics: Topics, portal: Portal) -> int:
    """Write what people can choose from; how many resources there are.

    Raises:
        KafkaError: Kafka did not take them.
    """
    sending = Sending(producer)
    count = 0
    for resource in portal.resources():
        await sending.send(topics.resources, resource.model_dump_json().encode(), resource.key)
        count += 1
    await sending.finish()
    return count


async def simulate(
    producer: AIOKafkaProducer,
    topics: Topics,
    portal: Portal,
    *,
    rate: float | None,
    count: int | None,
    stop: asyncio.Event,
    clock: Callable[[], datetime] = utc_now,
    published: Counter[EventType] | None = None,
) -> Counter[EventType]:
    """Write the resources, then publish ``rate`` events a second until ``stop`` is set or ``count`` are published.

    Without a rate they follow each other as fast as Kafka takes them. ``published`` counts, while this runs, what
    Kafka has acknowledged; it is what is returned.

    Raises:
        PublishingBroken: Kafka stopped taking events.
    """
    published = Counter[EventType]() if published is None else published
    try:
        await publish_resources(producer, topics, portal)
        sending = Sending(producer)
        async for _ in _turns(rate, count, stop):
            event = portal.next_event(clock())
            await sending.send(
                topics.events[event.event_type],
                orjson.dumps(event.envelope),
                event.organization_id.encode(),
                on_acknowledged=partial(published.update, (event.event_type,)),
            )
        await sending.finish()
    except (KafkaError, OSError) as error:
        raise PublishingBroken(
            f"Kafka stopped taking events ({type(error).__name__}): {published.total()} had been published"
        ) from error
    return published


async def _turns(rate: float | None, count: int | None, stop: asyncio.Event) -> AsyncIterator[int]:
    """``count`` turns, ``rate`` of them a second, as long as ``stop`` is not set."""
    time = asyncio.get_running_loop().time
    due = time()
    for turn in itertools.count() if count is None else range(count):
        if rate is not None:
            # What was missed for longer than that, by a machine asleep or a Kafka away, is not made up for.
            due = max(due, time() - _MOST_BEHIND_SECONDS)
            await _wait(due - time(), stop)
            due += 1 / rate
        if turn % _TURNS_IN_A_ROW == 0:
            await asyncio.sleep(0)
        if stop.is_set():
            return
        yield turn


async def _wait(seconds: float, stop: asyncio.Event) -> None:
    if seconds > 0:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()
