"""Sending messages again: one, or all that failed in a span of time."""

from collections.abc import Callable, Sequence
from datetime import datetime

from pydantic import AwareDatetime, BaseModel

from dispatcher.portal.api.named_webhooks import NamedWebhooks
from dispatcher.portal.api.operation import Answer, AnyOperation, Body, Call, NoBody, NoQuery, Operation, not_found
from dispatcher.portal.api.problems import Problem, bad_member, invalid
from dispatcher.portal.api.rate_limits import RECOVERIES
from dispatcher.portal.api.webhook_views import Moment
from dispatcher.portal.api.webhooks import WEBHOOK
from dispatcher.portal.audit import Audit
from dispatcher.portal.recovery import Asked, Recoveries
from dispatcher.portal.resending import BodyGone, Resender, SentTooOften, StillPending, UnknownMessage
from dispatcher.recording.history import MOST_RUNS
from dispatcher.recording.recoverable import Span
from dispatcher.webhooks.webhook import Webhook


class Resent(BaseModel):
    """A message that will be sent again."""

    message_id: str
    run: int


class RecoverySpan(Body):
    """Messages that failed from ``since`` up to ``until`` (now, where it is left out)."""

    since: Moment
    until: Moment | None = None


class Recovered(BaseModel):
    """How many messages will be sent again; all of them are on their way when the answer comes, or soon after."""

    queued: int


class ResendingApi:
    """The operations that send messages again."""

    def __init__(
        self,
        webhooks: NamedWebhooks,
        resender: Resender,
        recoveries: Recoveries,
        audit: Audit,
        clock: Callable[[], datetime],
    ) -> None:
        self._webhooks = webhooks
        self._resender = resender
        self._recoveries = recoveries
        self._audit = audit
        self._clock = clock

    def operations(self) -> Sequence[AnyOperation]:
        """What is served."""
        return (
            Operation(
                "POST",
                f"{WEBHOOK}/messages/{{message_id}}/resend",
                "Send a message again, as it was",
                self.resend_message,
                NoQuery,
                NoBody,
                Resent,
                status=202,
                problems=(404, 409, 410),
            ),
            Operation(
                "POST",
                f"{WEBHOOK}/recover",
                "Send again every message that failed in a span of time and whose body is kept",
                self.recover_messages,
                NoQuery,
                RecoverySpan,
                Recovered,
                status=202,
                problems=(404, 409),
                limits=(RECOVERIES,),
            ),
        )

    async def resend_message(self, call: Call[NoQuery, NoBody]) -> Answer[Resent]:
        """The new run."""
        webhook = await self._webhooks.of(call)
        message_id = call.path["message_id"]
        _require_enabled(webhook)
        try:
            run = await self._resender.resend(webhook, message_id)
        except UnknownMessage:
            raise not_found("message") from None
        except StillPending:
            raise Problem(409, "The message is still being sent. Wait until it has succeeded or failed.") from None
        except SentTooOften:
            raise Problem(409, f"The message was sent {MOST_RUNS} times, which is as often as one can be.") from None
        except BodyGone:
            raise Problem(410, _GONE) from None
        entry = self._audit.entry(webhook, call.caller.person, "resent", message_id=message_id)
        await self._audit.record(entry)
        return Answer(Resent(message_id=message_id, run=run))

    async def recover_messages(self, call: Call[NoQuery, RecoverySpan]) -> Answer[Recovered]:
        """How many messages were queued."""
        return Answer(Recovered(queued=(await self.recover(call)).queued))

    async def recover(self, call: Call[NoQuery, RecoverySpan]) -> Asked:
        """What the pages tell: that, and whether messages of that time were queued a moment before."""
        webhook = await self._webhooks.of(call)
        since, until = call.body.since, call.body.until or self._clock()
        if since >= until:
            raise invalid([bad_member(("since",), "is not before until")])
        _check_century("since", since)
        _check_century("until", until)
        _require_enabled(webhook)
        asked = await self._recoveries.ask(webhook, Span(since, until))
        if asked.queued:
            entry = self._audit.entry(
                webhook, call.caller.person, "recovered", messages=asked.queued, since=since, until=call.body.until
            )
            await self._audit.record(entry)
        return asked


_GONE = "What was to be sent is not kept, after 28 days or because it was too large, so it cannot be sent again."


def _require_enabled(webhook: Webhook) -> None:
    if not webhook.enabled:
        raise Problem(409, "The webhook is disabled. Enable it first, then send again.")


def _check_century(name: str, moment: AwareDatetime) -> None:
    if not 2000 <= moment.year < 2100:
        raise invalid([bad_member((name,), "is a time at which nothing can have failed")])
