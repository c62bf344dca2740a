"""Events through the real topics for webhooks on loopback, and what must have become of them."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from dispatcher.events.types import EventType
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.groups import Group
from dispatcher.kafka.topics import Topics
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.delivery_log import DeliveryLog
from dispatcher.recording.history import Metrics
from dispatcher.rfc3339 import rfc3339
from dispatcher.settings import Settings
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.store import WebhookStore
from dispatcher.webhooks.vault import Vault
from dispatcher.webhooks.webhook import Webhook
from tests.support.kafka import consume_all
from tests.support.tally import TEMPLATE, Behaviour, Call, Message, Tally, ok
from tests.support.waiting import eventually
from tests.support.webhooks import a_webhook

_PACE_SECONDS = 0.02
_EXACT = Metrics(successful=0, pending=0, in_progress=0, failed=0)

Attempt = tuple[str, int]
"""A message's id and the attempt's number."""


class Traffic:
    """Publishes events, and knows which messages must arrive."""

    def __init__(self, settings: Settings, clients: KafkaClients, topics: Topics, tally: Tally) -> None:
        self.clients = clients
        self.topics = topics
        self.tally = tally
        self.expected: dict[Message, float] = {}
        """When the event of each message was handed to Kafka (monotonic)."""
        self.webhooks: dict[str, list[Webhook]] = defaultdict(list)
        """By organization."""
        self._settings = settings
        self._stack = AsyncExitStack()
        self._numbers: dict[str, int] = defaultdict(int)

    async def __aenter__(self) -> "Traffic":
        key = self._settings.encryption_key
        assert key is not None
        vault = Vault(key.get_secret_value())
        follower = ConfigFollower(self.clients, self.topics, vault)
        await follower.start()
        self._stack.push_async_callback(follower.stop)
        self._producer = await self._stack.enter_async_context(self.clients.producer(linger_ms=2))
        self._config = await self._stack.enter_async_context(self.clients.producer(enable_idempotence=True))
        self._store = WebhookStore(self._config, self.topics, vault, follower)
        self._admin: AIOKafkaAdminClient = self.clients.admin()
        await self._admin.start()
        self._stack.push_async_callback(self._admin.close)
        self._ends: AIOKafkaConsumer = self.clients.consumer()
        await self._ends.start()
        self._stack.push_async_callback(self._ends.stop)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def webhook(
        self,
        path: str,
        behaviour: Behaviour = ok,
        organization: str = "org-1",
        url: str | None = None,
        **values: object,
    ) -> Webhook:
        """An enabled webhook for all alerts of an organization; its id is its path."""
        given = self.tally.url(path, behaviour)
        webhook = await self._store.create(
            a_webhook(
                path,
                target_url=url or given,
                organization_id=organization,
                event_type=EventType.ACTIVE_ALERT,
                payload_template=TEMPLATE,
                **values,
            )
        )
        self.webhooks[organization].append(webhook)
        return webhook

    async def publish(self, events: int, organizations: Iterable[str] = ("org-1",), rate: float | None = None) -> None:
        """So many events, the organizations in turn; return when Kafka has acknowledged them all."""
        turns = list(organizations)
        began = monotonic()
        sent = []
        for count in range(events):
            organization = turns[count % len(turns)]
            self._numbers[organization] += 1
            number = f"{organization}-{self._numbers[organization]}"
            now = monotonic()
            for webhook in self.webhooks[organization]:
                self.expected[webhook.id, number] = now
            sent.append(
                await self._producer.send(
                    self.topics.events[EventType.ACTIVE_ALERT],
                    value=_event(organization, number),
                    key=organization.encode(),
                )
            )
            if rate is not None and (ahead := began + count / rate - now) > 0:
                await asyncio.sleep(max(ahead, _PACE_SECONDS))
        await asyncio.gather(*sent)

    def expected_at(self, *paths: str) -> list[Message]:
        """The messages for these webhooks; without any, for all."""
        return [message for message in self.expected if not paths or message[0] in paths]

    async def have_arrived(self, *paths: str, timeout: float = 60) -> None:
        """Return when each message for these webhooks has arrived at least once."""

        def arrived() -> bool:
            left = [message for message in self.expected_at(*paths) if message not in self.tally.arrived]
            assert not left, f"{len(left)} have not arrived, such as {left[:3]}"
            return True

        await eventually(arrived, timeout=timeout, every=0.1, what="the arrival of everything")

    async def calls(self, count: int, timeout: float = 60) -> None:
        """Return when there have been so many calls."""
        await eventually(lambda: len(self.tally.calls) >= count, timeout=timeout, every=0.002, what=f"{count} calls")

    def lost(self) -> list[Message]:
        """Messages that never arrived."""
        return [message for message in self.expected if message not in self.tally.arrived]

    def delays(self, *paths: str) -> list[float]:
        """Seconds from publishing to the first arrival, of each message that arrived."""
        arrived = self.tally.arrived
        return [arrived[m] - self.expected[m] for m in self.expected_at(*paths) if m in arrived]

    def waits(self) -> list[float]:
        """Seconds from the arrival of each message's first attempt to that of its second, where there is one."""
        first: dict[Message, float] = {}
        second: dict[Message, float] = {}
        for call in self.tally.calls:
            (first if call.attempt == 1 else second).setdefault(call.message, call.at)
        return [second[message] - first[message] for message in first if message in second]

    async def finished(self) -> set[Attempt]:
        """The attempts that have an outcome in Kafka now."""
        records = await consume_all(self.clients, self.topics.attempts, timeout=60)
        outcomes = [dict(record.headers) for record in records]
        return {(each["message"].decode(), int(each["attempt"])) for each in outcomes if each["final"] == b"1"}

    async def in_flight_of_the_dead(self) -> set[Call]:
        """Calls without an outcome of a sender that has just been killed, the only one: each may come once more."""
        await eventually(lambda: not self.tally.open_connections, what="the end of its connections")
        calls = list(self.tally.calls)
        finished = await self.finished()
        return {call for call in calls if (call.message_id, call.attempt) not in finished}

    async def waiting(self) -> int:
        """How many events, attempts and retries are before somebody: the lag of all groups but the recorder's."""
        topics = self.topics
        groups = {
            topics.group(Group.MATCHER): list(topics.events.values()),
            topics.group(Group.SENDER): list(topics.to_send),
            topics.group(Group.RELAY): list(topics.retry.values()),
        }
        lag = 0
        for group, names in groups.items():
            committed = await self._admin.list_consumer_group_offsets(group)
            partitions = [TopicPartition(name, p) for name in names for p in await self._partitions(name)]
            ends = await self._ends.end_offsets(partitions)
            lag += sum(end - (committed[tp].offset if tp in committed else 0) for tp, end in ends.items())
        return lag

    async def quiet(self, timeout: float = 60) -> None:
        """Return when nothing waits anywhere and everything that was begun is committed."""

        async def nothing_waits() -> bool:
            waiting = await self.waiting()
            assert not waiting, f"{waiting} records wait"
            return True

        await eventually(nothing_waits, timeout=timeout, every=0.25, what="the end of all work")

    async def _partitions(self, topic: str) -> set[int]:
        known: set[int] | None = self._ends.partitions_for_topic(topic)
        if known is None:
            await self._ends._client.add_topic(topic)
            known = self._ends.partitions_for_topic(topic)
        return known or set()

    async def metrics_are_exact(self, failing: Iterable[str] = (), timeout: float = 60) -> None:
        """Return when ClickHouse counts every message once, as successful or, at these webhooks, as failed."""
        assert self._settings.clickhouse_url is not None
        counted: dict[str, int] = defaultdict(int)
        for webhook_id, _ in self.expected:
            counted[webhook_id] += 1
        exact = {
            webhook_id: replace(_EXACT, **{"failed" if webhook_id in failing else "successful": count})
            for webhook_id, count in counted.items()
        }
        clickhouse = ClickHouse(self._settings.clickhouse_url)
        log = DeliveryLog(clickhouse)

        async def shown() -> bool:
            found = {
                webhook.id: await log.metrics(organization, webhook.id)
                for organization, webhooks in self.webhooks.items()
                for webhook in webhooks
                if webhook.id in exact
            }
            assert found == exact
            return True

        try:
            await eventually(shown, timeout=timeout, every=0.3, what="the metrics")
        finally:
            await clickhouse.close()


def _event(organization: str, number: str) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": number,
            "source": "/portal/alerts",
            "type": EventType.ACTIVE_ALERT.value,
            "time": rfc3339(datetime.now(UTC)),
            "datacontenttype": "application/json",
            "data": {
                "organization_id": organization,
                "organization_name": organization,
                "alert_id": "alert-1",
                "alert_name": number,
            },
        }
    )
