"""Telling operators' systems which webhooks the dispatcher disabled.

What has happened is what the log says: a group of the portals reads ``webhooks.config`` once more, and each record
that won and in which the dispatcher disabled a webhook becomes a notice. A portal that dies between the change and
the notice leaves it to the next; told twice, it has the same id.
"""

from aiokafka import AIOKafkaProducer, ConsumerRecord

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.groups import Group
from dispatcher.kafka.in_turn import InTurn
from dispatcher.kafka.topics import Topics
from dispatcher.webhooks.change import UnreadableChange, UnreadableWebhook, read_place, read_webhook
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.notices import webhook_disabled
from dispatcher.webhooks.vault import UndecipherableConfig, Vault
from dispatcher.webhooks.webhook import DISPATCHER, Webhook


class DisabledNotices:
    """Writes a notice for each webhook that the dispatcher disabled."""

    def __init__(self, producer: AIOKafkaProducer, topics: Topics, vault: Vault, follower: ConfigFollower) -> None:
        self._producer = producer
        self._topics = topics
        self._vault = vault
        self._follower = follower

    def work(self, clients: KafkaClients) -> InTurn:
        """The work of the group."""
        return InTurn(clients, self._producer, self._topics, Group.DISABLED, [self._topics.config], self._tell)

    async def _tell(self, record: ConsumerRecord) -> None:
        webhook = self._disabled(record)
        if webhook is None:
            return
        await self._follower.reached(record.offset + 1)
        if not self._follower.directory.ignored(record.offset):
            notice = webhook_disabled(webhook).encode()
            await self._producer.send_and_wait(self._topics.notices, notice, key=record.key)

    def _disabled(self, record: ConsumerRecord) -> Webhook | None:
        """The webhook that the dispatcher disabled in this record, if it says so."""
        try:
            place = read_place(record.key, record.headers)
            webhook = read_webhook(place, record.value, self._vault)
        except (UnreadableChange, UnreadableWebhook, UndecipherableConfig):
            return None
        restates = place.revision == place.base
        if webhook is None or restates or webhook.enabled or webhook.updated_by != DISPATCHER:
            return None
        return webhook
