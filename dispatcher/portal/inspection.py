"""Dead letters for the topics that are read without a group: resources, the audit, sessions, and the webhooks.

Every portal reads these from their beginning at each start, and passes over what it cannot read. If it set that aside
each time, one such record would be a dead letter a start and a portal. So a group reads them once more, and each
unreadable record is set aside once. The record itself stays where it is, to be read by a version or with a key that
can: that is why `dispatcher dead-letters replay` leaves these alone.
"""

from aiokafka import AIOKafkaProducer, ConsumerRecord

from dispatcher.events.resources import UnreadableResource, read_resource
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.groups import Group
from dispatcher.kafka.in_turn import InTurn, SetAside
from dispatcher.kafka.topics import Topics
from dispatcher.portal.audit import UnreadableAudit, read_audit_record
from dispatcher.portal.ended_sessions import UnreadableSessionEnd, read_session_end
from dispatcher.webhooks.change import UnreadableChange, UnreadableWebhook, read_place, read_webhook
from dispatcher.webhooks.vault import UndecipherableConfig, Vault


class Inspection:
    """Finds what cannot be read."""

    def __init__(self, producer: AIOKafkaProducer, topics: Topics, vault: Vault) -> None:
        self._producer = producer
        self._topics = topics
        self._vault = vault

    def work(self, clients: KafkaClients) -> InTurn:
        """The work of the group."""
        topics = self._topics
        inspected = (topics.config, topics.resources, topics.audit, topics.sessions)
        return InTurn(clients, self._producer, topics, Group.INSPECTION, inspected, self._inspect)

    async def _inspect(self, record: ConsumerRecord) -> None:
        try:
            self._read(record)
        except (
            UnreadableResource,
            UnreadableAudit,
            UnreadableSessionEnd,
            UnreadableChange,
            UnreadableWebhook,
            UndecipherableConfig,
        ) as error:
            raise SetAside(str(error)) from error

    def _read(self, record: ConsumerRecord) -> None:
        if record.topic == self._topics.config:
            read_webhook(read_place(record.key, record.headers), record.value, self._vault)
        elif record.topic == self._topics.audit:
            read_audit_record(record.value)
        elif record.topic == self._topics.sessions:
            read_session_end(record.value)
        elif record.value is not None:
            read_resource(record.key, record.value)
