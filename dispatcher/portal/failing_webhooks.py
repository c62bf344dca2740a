"""Disabling webhooks that have failed for days, where the settings ask for it.

Every portal looks; of several that disable one webhook at once, one wins, and the others find that it is done.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog
from aiokafka.errors import KafkaError

from dispatcher.background import Background
from dispatcher.errors import DispatcherError
from dispatcher.portal.changes import Changes
from dispatcher.recording.clickhouse import ClickHouse, QueryFailed
from dispatcher.recording.failures import hours_of_attempts, webhooks_without_success
from dispatcher.webhooks.failing import FailingPolicy
from dispatcher.webhooks.vault import UndecipherableConfig
from dispatcher.webhooks.webhook import DISPATCHER, Webhook

# Attempts are counted by the hour.
_LOOK_EVERY_SECONDS = 1800.0
_FIRST_LOOK_SECONDS = 60.0

log = structlog.get_logger()


class FailingWebhooks(Background):
    """Looks every half an hour; ``clock`` gives the time."""

    def __init__(
        self, policy: FailingPolicy, changes: Changes, clickhouse: ClickHouse, clock: Callable[[], datetime]
    ) -> None:
        self._policy = policy
        self._changes = changes
        self._clickhouse = clickhouse
        self._clock = clock

    async def look(self) -> list[str]:
        """Disable what has failed for the whole window; the ids of the webhooks that this portal disabled.

        Raises:
            ClickHouseUnavailable: nothing answers.
            QueryFailed: there is no schema yet.
            KafkaError: a change cannot be written now.
            ChangedAllTheTime: others change a webhook all the time.
        """
        policy, directory, now = self._policy, self._changes.directory, self._clock()
        lately = policy.lately(now)
        suspects = await webhooks_without_success(self._clickhouse, lately, lately - policy.window)
        disabled = []
        for id in sorted(suspects):
            webhook = directory.get(id)
            if webhook is None or not webhook.enabled or not policy.is_old_enough(webhook.updated_on, now):
                continue
            hours = await hours_of_attempts(self._clickhouse, webhook.organization_id, id, policy.begins(now))
            failing = policy.judge(hours, now)
            if failing is not None and await self._disable(webhook, failing.reason):
                disabled.append(id)
        return disabled

    async def _disable(self, judged: Webhook, reason: str) -> bool:
        asked = False

        def how(webhook: Webhook, _: int) -> dict[str, Any]:
            nonlocal asked
            # Whoever changed it meanwhile gets the time to see what that does.
            asked = webhook.enabled and webhook.updated_on == judged.updated_on
            return {"status": "disabled", "disabled_reason": reason} if asked else {}

        try:
            changed = await self._changes.change(judged.id, DISPATCHER, "disabled", how, reason=reason)
        except UndecipherableConfig as error:
            log.warning("a failing webhook cannot be disabled", webhook_id=judged.id, error=str(error))
            return False
        if changed is None or not asked:
            return False
        log.warning("a webhook was disabled", webhook_id=judged.id, reason=reason)
        return True

    async def _run(self) -> None:
        await asyncio.sleep(_FIRST_LOOK_SECONDS)
        while True:
            try:
                await self.look()
            except (DispatcherError, QueryFailed, KafkaError, TimeoutError) as error:
                log.warning("failing webhooks are looked for again later", error=str(error) or repr(error))
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
