"""An attempt: what was sent and answered, what went wrong, its message's other attempts; and sending it again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from aiohttp import web

from dispatcher.portal.api.apis import Apis
from dispatcher.portal.api.attempt_views import AttemptView
from dispatcher.portal.api.problems import Problem
from dispatcher.portal.pages.failures_in_words import failure_in_words, was_too_large
from dispatcher.portal.pages.problems_in_words import problem_in_words
from dispatcher.portal.pages.visit import Visit
from dispatcher.portal.pages.webhook import PATH
from dispatcher.portal.pages.wiring import Page

_REFUSALS = (409, 410)


@dataclass(frozen=True, slots=True)
class Run:
    """The attempts of one sending of a message, the first one first; later runs are resends."""

    number: int
    attempts: Sequence[AttemptView]


class AttemptPages:
    """The execution details, a page of their own; the Metrics tab shows the same in a window."""

    def __init__(self, apis: Apis) -> None:
        self._apis = apis

    def pages(self) -> Sequence[Page]:
        """What is served."""
        return (
            Page(f"{PATH}/attempts/{{attempt_id}}", get=self.show),
            Page(f"{PATH}/messages/{{message_id}}/resend", get=self._back, post=self.resend),
        )

    async def show(self, visit: Visit) -> web.Response:
        """The details."""
        call = visit.call()
        # An attempt's id is its message's, its run and its number.
        message_id = call.path["attempt_id"].rsplit("-", 2)[0]
        of_message = replace(call, path={**call.path, "message_id": message_id})
        webhook_answer, attempt_answer, message_answer = await asyncio.gather(
            self._apis.webhooks.get_webhook(call),
            self._apis.attempts.get_attempt(call),
            self._apis.attempts.get_message(of_message),
        )
        webhook, attempt, message = webhook_answer.body, attempt_answer.body, message_answer.body
        earliest_first = sorted(message.attempts, key=lambda one: (one.run, one.attempt))
        runs = [Run(number, list(one)) for number, one in groupby(earliest_first, key=lambda one: one.run)]
        return visit.render(
            "attempt.html",
            webhook=webhook,
            attempt=attempt,
            error=failure_in_words(attempt.error, visit.language) if attempt.error else None,
            too_large=was_too_large(attempt.error or ""),
            message=message,
            runs=runs,
        )

    async def resend(self, visit: Visit) -> web.Response:
        """Send the message again, and say so on the page that asked for it."""
        try:
            run = (await self._apis.resending.resend_message(visit.call())).body.run
        except Problem as problem:
            if problem.status not in _REFUSALS:
                raise
            visit.flash("error", problem_in_words(problem.details.detail, visit.language))
        else:
            text = visit.gettext(
                "The message is sent again. This is run %(run)s of it; its attempts show within seconds.",
                run=visit.language.number(run),
            )
            visit.flash("success", text)
        return await self._back(visit)

    async def _back(self, visit: Visit) -> web.Response:
        webhook_id = visit.request.match_info["webhook_id"]
        if attempt_id := visit.fields.get("attempt", ""):
            return visit.see(visit.organization_url(webhook_id, "attempts", attempt_id))
        return visit.see(visit.organization_url(webhook_id, tab="metrics"))
