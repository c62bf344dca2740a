"""Making an attempt: what the webhook is now, the call, and the conclusion."""

import asyncio

import structlog

from dispatcher.delivery.conclusion import (
    DELETED,
    DISABLED,
    UNREADABLE,
    Conclusion,
    broken,
    conclude,
    conclude_unmade,
    conclude_without_call,
)
from dispatcher.delivery.failures import Failure
from dispatcher.delivery.schedule import RetrySchedule
from dispatcher.delivery.target import Request, Target, TargetClient
from dispatcher.delivery.work import Work
from dispatcher.kafka.clock import BrokerClock
from dispatcher.observability.metrics import ATTEMPT_SECONDS
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.webhook import Webhook

log = structlog.get_logger()

_CONFIG_WAIT_SECONDS = 10.0


class AttemptMaker:
    """Makes attempts; URL, headers and secrets are looked up for each."""

    def __init__(
        self, client: TargetClient, follower: ConfigFollower, schedule: RetrySchedule, clock: BrokerClock
    ) -> None:
        self._client = client
        self._follower = follower
        self._schedule = schedule
        self._clock = clock
        self._targets: dict[str, tuple[Webhook, Target]] = {}

    async def make(self, work: Work) -> Conclusion:
        """The conclusion of the attempt, whatever happens."""
        try:
            return await self._make(work)
        except Exception as error:
            # Neither the webhook's other messages nor the partition may suffer from one that we cannot handle.
            log.exception("an attempt could not be made", message_id=work.delivery.message_id)
            return self._unmade(work, broken(error))

    async def _make(self, work: Work) -> Conclusion:
        delivery, directory = work.delivery, self._follower.directory
        if directory.next_offset < delivery.config_offset:
            await self._await_config(delivery.config_offset)
        if delivery.webhook_id in directory.unreadable:
            return self._unmade(work, UNREADABLE)
        webhook = directory.get(delivery.webhook_id)
        if webhook is None or not webhook.enabled:
            self._targets.pop(delivery.webhook_id, None)
            failure = DELETED if webhook is None else DISABLED
            return conclude_without_call(delivery, failure, due_at=work.due_at, ended_at=self._clock.now())
        work.target = target = self._target(webhook)
        work.started_at = self._clock.now()
        request = Request(delivery.message_id, delivery.event_type, delivery.attempt, delivery.body)
        answer = await self._client.call(target, request)
        ATTEMPT_SECONDS.observe(answer.duration_ms / 1000)
        return conclude(delivery, target, answer, self._schedule, due_at=work.due_at, ended_at=self._clock.now())

    def _unmade(self, work: Work, failure: Failure) -> Conclusion:
        return conclude_unmade(work.delivery, failure, self._schedule, due_at=work.due_at, ended_at=self._clock.now())

    async def _await_config(self, offset: int) -> None:
        try:
            async with asyncio.timeout(_CONFIG_WAIT_SECONDS):
                await self._follower.reached(offset)
        except TimeoutError:
            log.warning("the directory of webhooks is behind; going on with what it knows", wanted_offset=offset)

    def _target(self, webhook: Webhook) -> Target:
        prepared = self._targets.get(webhook.id)
        if prepared is None or prepared[0] is not webhook:
            prepared = self._targets[webhook.id] = (webhook, Target.of(webhook))
        return prepared[1]
