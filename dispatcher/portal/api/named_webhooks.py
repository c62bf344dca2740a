"""The webhook that a call names in its path; another portal may have created it a moment ago."""

from collections.abc import Awaitable, Callable
from typing import Any

from dispatcher.errors import KafkaUnavailable
from dispatcher.portal.api.operation import Call, not_found
from dispatcher.portal.api.reading_on import read_on
from dispatcher.webhooks.directory import Directory
from dispatcher.webhooks.webhook import Webhook


class NamedWebhooks:
    """Looks them up. ``directory`` has read what every portal has written when ``catch_up`` returns."""

    def __init__(self, directory: Directory, catch_up: Callable[[], Awaitable[None]]) -> None:
        self.directory = directory
        self._catch_up = catch_up

    async def of(self, call: Call[Any, Any]) -> Webhook:
        """The webhook in the path; where this portal does not know it, it has read first what others wrote.

        Raises:
            Problem: 404, there is none, or it is another organization's.
            KafkaUnavailable: whether there is one cannot be known.
        """
        webhook_id = call.path["webhook_id"]
        known = self.directory.revision(webhook_id) or await self.read_on() or self.directory.revision(webhook_id)
        if not known:
            raise KafkaUnavailable("whether there is such a webhook could not be read in time")
        webhook = self.directory.get(webhook_id)
        if webhook is None or webhook.organization_id != call.organization_id:
            raise not_found("webhook")
        return webhook

    async def read_to(self, webhook_id: str, revision: int) -> None:
        """Read what others wrote, where this portal does not know a webhook at this revision yet."""
        if self.directory.revision(webhook_id) < revision:
            await self.read_on()

    async def read_on(self) -> bool:
        """Read what others wrote, for as long as somebody can be kept waiting; whether that was all."""
        return await read_on(self._catch_up)
