"""Making an attempt: what the webhook is now, the call, and the conclusion."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

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
from dispatcher.observability.trace_context import logged
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.webhook import Webhook

if TYPE_CHECKING:
    from dispatcher.observability.tracing import Tracing

log = structlog.get_logger()

_CONFIG_WAIT_SECONDS = 10.0

# What is forgotten is prepared again in some microseconds.
_TARGETS_AT_MOST = 10_000


class AttemptMaker:
    """Makes attempts; URL, headers and secrets are looked up for each."""

    def __init__(
        self,
        client: TargetClient,
        follower: ConfigFollower,
        schedule: RetrySchedule,
        clock: BrokerClock,
        tracing: "Tracing | None" = None,
    ) -> None:
        self._client = client
        self._follower = follower
        self._schedule = schedule
        self._clock = clock
        self._tracing = tracing
        self._targets: dict[str, tuple[Webhook, Target]] = {}

    def make(self, work: Work) -> Awaitable[Conclusion]:
        """The conclusion of the attempt, whatever happens."""
        return self._concluded(work) if self._tracing is None else self._traced(work, self._tracing)

    async def _traced(self, work: Work, tracing: "Tracing") -> Conclusion:
        span = tracing.attempt(work.delivery)
        work.traceparent = span.traceparent
        conclusion = None
        try:
            conclusion = await self._concluded(work)
        finally:
            span.end(conclusion.outcome if conclusion is not None else None)
        work.delivery = work.delivery._replace(trace=span.following)
        return conclusion

    async def _concluded(self, work: Work) -> Conclusion:
        try:
            return await self._make(work)
        except Exception as error:
            # Neither the webhook's other messages nor the partition may suffer from one that we cannot handle.
            delivery = work.delivery
            log.exception(
                "an attempt could not be made",
                message_id=delivery.message_id,
                webhook_id=delivery.webhook_id,
                **logged(delivery.trace),
            )
            return self._unmade(work, broken(error))

    async def _make(self, work: Work) -> Conclusion:
        delivery, directory = work.delivery, self._follower.directory
        if directory.next_offset < delivery.config_offset:
            await self._await_config(delivery.config_offset)
        if self._follower.is_unreadable(delivery.webhook_id):
            return self._unmade(work, UNREADABLE)
        webhook = directory.get(delivery.webhook_id)
        if webhook is None or not webhook.enabled:
            self._targets.pop(delivery.webhook_id, None)
            failure = DELETED if webhook is None else DISABLED
            return conclude_without_call(delivery, failure, due_at=work.due_at, ended_at=self._clock.now())
        work.target = target = self._target(webhook)
        work.started_at = self._clock.now()
        traceparent = work.traceparent or ("" if delivery.trace is None else delivery.trace.parent)
        request = Request(delivery.message_id, delivery.event_type, delivery.attempt, delivery.body, traceparent)
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
            if len(self._targets) > _TARGETS_AT_MOST:
                del self._targets[next(iter(self._targets))]
        return prepared[1]
