"""What other roles ask of one webhook: the commands ``disable`` and ``remove`` of ``webhooks.commands``.

A command may be read again after a crash, or by two portals during a rebalance: doing it twice changes nothing more.
"""

import structlog
from aiokafka import AIOKafkaProducer, ConsumerRecord

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.groups import Group
from dispatcher.kafka.in_turn import InTurn, SetAside
from dispatcher.kafka.topics import Topics
from dispatcher.portal.changes import Changes
from dispatcher.webhooks.commands import Disable, Remove, UnreadableCommand, read_command
from dispatcher.webhooks.vault import UndecipherableConfig
from dispatcher.webhooks.webhook import DISPATCHER, Webhook

log = structlog.get_logger()


class WebhookCommands:
    """Carries them out, one after the other."""

    def __init__(self, topics: Topics, producer: AIOKafkaProducer, changes: Changes) -> None:
        self._topics = topics
        self._producer = producer
        self._changes = changes

    def work(self, clients: KafkaClients) -> InTurn:
        """The work of the group, which also sets aside what is no command; others' commands are others' work."""
        return InTurn(clients, self._producer, self._topics, Group.PORTAL, [self._topics.commands], self._carry_out)

    async def _carry_out(self, record: ConsumerRecord) -> None:
        try:
            command = read_command(record.value)
        except UnreadableCommand as error:
            raise SetAside(str(error)) from None
        if isinstance(command, Remove):
            removed = await self._changes.remove_unreadable(command.webhook_id, DISPATCHER)
            log.info("a webhook was to be removed", webhook_id=command.webhook_id, removed=removed)
            return
        if not isinstance(command, Disable):
            return
        try:
            await self._changes.change(
                command.webhook_id,
                DISPATCHER,
                "disabled",
                lambda webhook, _: _disabled(webhook, command),
                reason=command.reason,
            )
        except UndecipherableConfig as error:
            raise SetAside(str(error)) from error


def _disabled(webhook: Webhook, command: Disable) -> dict[str, object]:
    # Whoever enabled or edited it since it was what was called has had the last word: that was not tried yet.
    if not webhook.enabled or webhook.updated_on > command.time:
        return {}
    return {"status": "disabled", "disabled_reason": command.reason}
