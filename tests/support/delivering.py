"""A sender and a relay on real Kafka, with webhooks read from ``webhooks.config``."""

from contextlib import AsyncExitStack

import orjson

from dispatcher.delivery.outcome import Outcome
from dispatcher.delivery.record import Delivery
from dispatcher.delivery.relay import Relay
from dispatcher.delivery.sender import Sender
from dispatcher.events.types import EventType
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.clock import BrokerClock
from dispatcher.kafka.topics import Topics
from dispatcher.settings import Settings
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.store import WebhookStore
from dispatcher.webhooks.vault import Vault
from dispatcher.webhooks.webhook import Webhook
from tests.support.kafka import consume_all
from tests.support.waiting import eventually
from tests.support.webhooks import a_webhook


class Delivering:
    """What the tests of delivery need at hand."""

    def __init__(self, settings: Settings, clients: KafkaClients, topics: Topics, stack: AsyncExitStack) -> None:
        self.settings = settings
        self.clients = clients
        self.topics = topics
        self._stack = stack

    async def start(self) -> None:
        key = self.settings.encryption_key
        assert key is not None
        vault = Vault(key.get_secret_value())
        self.follower = ConfigFollower(self.clients, self.topics, vault)
        await self.follower.start()
        self._stack.push_async_callback(self.follower.stop)
        self._producer = await self._stack.enter_async_context(self.clients.producer(enable_idempotence=True))
        self.store = WebhookStore(self._producer, self.topics, vault, self.follower)

    async def webhook(self, id: str, url: str, **values: object) -> Webhook:
        return await self.store.create(a_webhook(id, target_url=url, event_type="active_alert", **values))

    async def sender(self, clock: BrokerClock | None = None) -> Sender:
        sender = Sender(self.settings, self.clients, self.topics, self.follower, clock=clock)
        await sender.start()
        self._stack.push_async_callback(sender.stop)
        return sender

    async def relay(self, clock: BrokerClock | None = None) -> Relay:
        relay = Relay(self.clients, self.topics, clock=clock)
        await relay.start()
        self._stack.push_async_callback(relay.stop)
        return relay

    async def deliver(
        self, webhook: str, *message_ids: str, run: int = 1, times: int = 1, topic: str | None = None
    ) -> None:
        """Put first attempts into ``webhooks.deliveries``, or into ``topic``, each as often as told."""
        sent = []
        for number, message_id in enumerate(message_ids):
            delivery = Delivery(
                webhook_id=webhook,
                organization_id="org-contoso",
                event_type=EventType.ACTIVE_ALERT,
                message_id=message_id,
                run=run,
                attempt=1,
                message_created_on=1_795_000_000_000,
                config_offset=self.follower.directory.next_offset,
                workspace_id="ws-1",
                body=b'{"number": %d}' % number,
            )
            sent += [
                await self._producer.send(
                    topic or self.topics.deliveries, value=delivery.body, key=delivery.key, headers=delivery.headers()
                )
                for _ in range(times)
            ]
        for each in sent:
            await each

    async def outcomes(self, count: int, *, in_progress_too: bool = False) -> list[Outcome]:
        """The outcomes, as soon as there are so many.

        A call that takes long is told in progress before, and how many do is the machine's affair: such are left out.
        """

        async def all_of_them() -> list[Outcome]:
            told: list[Outcome] = [orjson.loads(r.value) for r in await consume_all(self.clients, self.topics.attempts)]
            outcomes = [each for each in told if in_progress_too or each["status"] != "in_progress"]
            assert len(outcomes) >= count
            return outcomes

        return await eventually(all_of_them)
