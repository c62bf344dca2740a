"""The webhook that a call names in its path; another portal may have created it a moment ago."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from dispatcher.portal.api.operation import Call, not_found
from dispatcher.webhooks.directory import Directory
from dispatcher.webhooks.webhook import Webhook

_CATCH_UP_SECONDS = 5.0
"""How long somebody waits to hear of a webhook that this portal does not know, or not at the revision they named."""


class NamedWebhooks:
    """Looks them up. ``directory`` has read what every portal has written when ``catch_up`` returns."""

    def __init__(self, directory: Directory, catch_up: Callable[[], Awaitable[None]]) -> None:
        self.directory = directory
        self._catch_up = catch_up

    async def of(self, call: Call[Any, Any]) -> Webhook:
        """The webhook in the path; where this portal does not know it, it has read first what others wrote.

        Raises:
            Problem: 404, there is none, or it is another organization's.
        """
        webhook_id = call.path["webhook_id"]
        if not self.directory.revision(webhook_id):
            await self.read_on()
        webhook = self.directory.get(webhook_id)
        if webhook is None or webhook.organization_id != call.organization_id:
            raise not_found("webhook")
        return webhook

    async def read_on(self) -> None:
        """Read what others wrote, for as long as somebody can be kept waiting."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CATCH_UP_SECONDS):
                await self._catch_up()
