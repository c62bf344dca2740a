"""A demonstration beside the roles: it makes webhooks, is their targets, publishes events, and tells how it goes."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain, repeat
from random import Random

import structlog

from dispatcher.assembly import Assembly
from dispatcher.demo.targets import Addresses
from dispatcher.demo.webhooks import create_webhooks, demo_webhooks
from dispatcher.errors import ClickHouseUnavailable, ConfigurationError, KafkaUnavailable
from dispatcher.events.publishing import PublishingBroken, open_producer
from dispatcher.events.simulator.portal import DEFAULT_ORGANIZATIONS, Portal
from dispatcher.events.simulator.running import simulate
from dispatcher.events.types import EventType
from dispatcher.recording.clickhouse import QueryFailed

EVENTS_PER_SECOND = 5.0

# Often at first, while somebody watches how it begins.
_TELL_AFTER_SECONDS = (*(5.0,) * 6, 30.0)
_PUBLISH_AGAIN_SECONDS = 5.0
_STOP_SECONDS = 2.0
_STATUSES = "SELECT toString(status) AS status, count() AS count FROM messages GROUP BY status"
_ATTEMPTS = "SELECT count() AS count FROM attempts WHERE executed_on IS NOT NULL"


log = structlog.get_logger()


class Demonstration:
    """A service; the portal and the targets run before it. ``token`` lets an organization's administrator in.

    ``random`` decides what happens in Portal; ``at_end`` is called when it stops, which it does before the roles.
    """

    name = "demonstration"

    def __init__(
        self,
        assembly: Assembly,
        targets: Addresses,
        *,
        api: str,
        token: Callable[[str], str],
        say: Callable[[str], None],
        random: Random,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._assembly = assembly
        self._targets = targets
        self._api = api
        self._token = token
        self._say = say
        self._at_end = at_end
        self._portal = Portal(random.getrandbits(32))
        self._published = Counter[EventType]()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Create what webhooks are missing, however long it takes, and begin to publish.

        Raises:
            DispatcherError: the API refuses.
        """
        count = 0
        for organization in DEFAULT_ORGANIZATIONS:
            wanted = demo_webhooks(organization, self._targets)
            token = partial(self._token, organization)
            count += await create_webhooks(self._api, token, organization, wanted, self._say)
        self._say(f"{len(DEFAULT_ORGANIZATIONS)} organizations with {count} webhooks, {EVENTS_PER_SECOND:g} events/s")
        self._tasks = [
            asyncio.create_task(self._publish(), name="demonstration: publish"),
            asyncio.create_task(self._tell(), name="demonstration: tell"),
        ]

    async def wait(self) -> None:
        """Run until ``stop``; raise what ended it before."""
        await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """Publish no more."""
        self._stopping.set()
        self._at_end()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _publish(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._publish_until_stopped()
            except (PublishingBroken, KafkaUnavailable, ConfigurationError) as error:
                # A machine with too much to do, and no reason to end everything.
                log.warning(
                    "the demonstration publishes again in a moment", error=str(error), seconds=_PUBLISH_AGAIN_SECONDS
                )
                await self._stopped_within(_PUBLISH_AGAIN_SECONDS)

    async def _publish_until_stopped(self) -> None:
        topics = self._assembly.topics
        async with open_producer(self._assembly.clients, [*topics.events.values(), topics.resources]) as producer:
            await simulate(
                producer,
                topics,
                self._portal,
                rate=EVENTS_PER_SECOND,
                count=None,
                stop=self._stopping,
                published=self._published,
            )

    async def _tell(self) -> None:
        for seconds in chain(_TELL_AFTER_SECONDS, repeat(_TELL_AFTER_SECONDS[-1])):
            if await self._stopped_within(seconds):
                return
            self._say(await self._counted())

    async def _stopped_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        return self._stopping.is_set()

    async def _counted(self) -> str:
        published = f"{self._published.total()} events published"
        clickhouse = self._assembly.clickhouse
        try:
            messages = {row["status"]: row["count"] for row in await clickhouse.query(_STATUSES)}
            [attempts] = await clickhouse.query(_ATTEMPTS)
        except (ClickHouseUnavailable, QueryFailed) as error:
            return f"{published}; the counts are not to be had: {error}"
        return f"{published}; so far {attempts['count']} attempts; messages: {shown(messages)}"


def shown(messages: Mapping[str, int]) -> str:
    """Counts of messages by status, in words."""
    words = {"successful": "succeeded", "failed": "failed", "pending": "waiting", "in_progress": "in progress"}
    return ", ".join(f"{messages.get(status, 0)} {word}" for status, word in words.items())
