"""The Metrics tab of a webhook's page: figures, plots, the table of attempts, and sending again what failed."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

from aiohttp import web
from babel.dates import format_timedelta

from dispatcher.delivery.outcome import Status
from dispatcher.errors import ClickHouseUnavailable
from dispatcher.moments import EPOCH
from dispatcher.portal.api.apis import Apis
from dispatcher.portal.api.attempt_views import AttemptList
from dispatcher.portal.api.attempts import AttemptQuery, HistoryQuery
from dispatcher.portal.api.operation import API
from dispatcher.portal.api.problems import Problem
from dispatcher.portal.api.rate_limits import RECOVERIES
from dispatcher.portal.api.resending import RecoverySpan
from dispatcher.portal.api.webhook_views import WebhookView
from dispatcher.portal.pages.islands import script_json, texts_script
from dispatcher.portal.pages.languages import N_, Language
from dispatcher.portal.pages.typed_span import TypedSpan, typed_moment
from dispatcher.portal.pages.visit import Visit, body_of, query_of
from dispatcher.portal.pages.webhook import PATH, Tab
from dispatcher.portal.pages.wiring import Page
from dispatcher.recording.clickhouse import QueryFailed
from dispatcher.rfc3339 import rfc3339

T = TypeVar("T")

ON_A_PAGE = 50
KEY = "metrics"
MESSAGES = "messages"
ATTEMPTS = "attempts"
"""The parts that follow the page: figures and plots, and the table; each is there as soon as it can be."""
ISLANDS = ("delivery-plots", "live-attempts", "live-metrics", "attempt-window")

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_UNITS: Mapping[Literal["hour", "minute", "second"], timedelta] = {
    "hour": _HOUR,
    "minute": timedelta(minutes=1),
    "second": timedelta(milliseconds=1),
}
_RECOVERED_BY_DEFAULT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class _Range:
    """A span of the plots: so many buckets, up to the one that is now."""

    label: str
    size: timedelta
    count: int


RANGES = {
    "24h": _Range(N_("24 hours"), _HOUR, 24),
    "7d": _Range(N_("7 days"), _HOUR, 168),
    "28d": _Range(N_("28 days"), _DAY, 28),
}

FIGURES = (
    ("successful", N_("Successful messages"), "check", "good"),
    ("pending", N_("Pending messages"), "clock", "muted"),
    ("in_progress", N_("Messages in progress"), "spinner", ""),
    ("failed", N_("Failed messages"), "fail", "bad"),
    ("total", N_("Total messages"), "list", "muted"),
    ("success_rate", N_("Success rate"), "chart", ""),
)

FILTERS: Mapping[Status | None, tuple[str, str]] = {
    None: (N_("All attempts"), N_("No attempts yet")),
    "successful": (N_("Successful attempts"), N_("No successful attempts")),
    "pending": (N_("Pending attempts"), N_("No pending attempts")),
    "failed": (N_("Failed attempts"), N_("No failed attempts")),
    "in_progress": (N_("Attempts in progress"), N_("No attempts in progress")),
}
"""The filters of the table, and what is said where nothing matches."""


class MetricsPages:
    """``waits`` are the retry schedule's, of which the first is the sending itself."""

    def __init__(self, apis: Apis, waits: Sequence[timedelta], clock: Callable[[], datetime]) -> None:
        self._apis = apis
        self._waits = waits
        self._clock = clock

    def tab(self) -> Tab:
        """The tab of a webhook's page."""
        return Tab(
            KEY,
            N_("Metrics"),
            "chart",
            "webhook_metrics.html",
            self._context,
            parts=(MESSAGES, ATTEMPTS),
            part_template="webhook_metrics_part.html",
        )

    def pages(self) -> Sequence[Page]:
        """What is served beside the tab."""
        return (Page(f"{PATH}/recover", get=self._ask, post=self.recover, limits=(RECOVERIES,)),)

    async def recover(self, visit: Visit) -> web.Response:
        """Send again what failed in a span of time, and say how many messages that is."""
        typed = TypedSpan.of(visit.fields, self._clock())
        if typed.span is None:
            return visit.see(_url(visit, asks="recover", **typed.parameters()))
        since, until = typed.span
        body = body_of(RecoverySpan, {"since": since, "until": until})
        try:
            asked = await self._apis.resending.recover(visit.call(body=body))
        except Problem as problem:
            if problem.status != 409:
                raise
            visit.flash("error", visit.gettext("The webhook is disabled. Enable it first, then send again."))
            return visit.see(_url(visit))
        if asked.queued:
            text = visit.language.translations.ngettext(
                "%(count)s message that failed is sent again.",
                "%(count)s messages that failed are sent again.",
                asked.queued,
            )
            visit.flash("success", text % {"count": visit.language.number(asked.queued)})
        elif asked.already:
            visit.flash("success", visit.gettext("What failed in that time is being sent again already."))
        else:
            visit.flash(
                "success",
                visit.gettext(
                    "Nothing is sent again: no message that is still kept failed in that time, but for those that are "
                    "being sent again already."
                ),
            )
        return visit.see(_url(visit))

    async def _ask(self, visit: Visit) -> web.Response:
        return visit.see(_url(visit, asks="recover"))

    async def _context(self, visit: Visit, webhook: WebhookView) -> Mapping[str, Any]:
        asked = visit.request.query
        range_ = asked.get("range", "")
        range_ = range_ if range_ in RANGES else "24h"
        status: Any = asked.get("status") if asked.get("status") in FILTERS else None
        typed_before = asked.get("before", "")[:40]
        before_zone = asked.get("before_zone", "")[:60] or "UTC"
        before = typed_moment(typed_before, before_zone)
        of_messages, of_attempts = (visit.whole or visit.only(part) for part in (MESSAGES, ATTEMPTS))
        visit.followed = not of_messages and not of_attempts
        counted, page = await asyncio.gather(
            _or_none(self._figures_and_plots(visit, range_) if of_messages else None),
            _or_none(self._page(visit, status, before, asked.get("cursor", "")) if of_attempts else None),
        )
        figures, plots = counted or (None, None)
        attempts, first_page = page or (AttemptList(items=[], next_cursor=None), True)
        now = self._clock()
        typed = TypedSpan.of(asked, now) if "since" in asked else TypedSpan.suggested(_RECOVERED_BY_DEFAULT, now)
        return {
            "figures": [(*figure, figures and figures[figure[0]]) for figure in FIGURES],
            "without_deliveries": (of_messages and counted is None) or (of_attempts and page is None),
            "ranges": RANGES,
            "range": range_,
            "plots": plots,
            "plots_json": script_json({"range": range_, "items": plots}) if plots is not None else None,
            "plots_as_table": "plots" in asked,
            "filters": FILTERS,
            "wanted": status,
            "attempts": attempts.items,
            "attempts_known": page is not None,
            "next_cursor": attempts.next_cursor,
            "first_page": first_page,
            "before": before,
            "typed_before": typed_before,
            "before_zone": before_zone,
            "export_query": urlencode({name: value for name, value in _asked(status, before).items() if value}),
            "on_a_page": ON_A_PAGE,
            "waits": [waiting(wait, visit.language) for wait in self._waits],
            "typed": typed,
            "api": f"{API}{visit.organization_url(webhook.id)}",
            "island_texts": texts_script(visit.language.code, *ISLANDS),
        }

    async def _figures_and_plots(self, visit: Visit, range_: str) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
        """The six figures, and the buckets in which something happened, as the API shows them.

        The other buckets follow from the range.
        """
        shown, now = RANGES[range_], self._clock()
        until = now - (now - EPOCH) % shown.size + shown.size
        query = HistoryQuery.model_validate(
            {
                "bucket": "hour" if shown.size == _HOUR else "day",
                "from": until - shown.count * shown.size,
                "to": until,
            }
        )
        metrics, history = await self._apis.attempts.get_metrics_and_history(visit.call(query))
        plots = [one.model_dump(mode="json") for one in history.items if one.attempts or one.successful or one.failed]
        return metrics.model_dump(), plots

    async def _page(
        self, visit: Visit, status: Status | None, before: datetime | None, cursor: str
    ) -> tuple[AttemptList, bool]:
        """A page of attempts, and whether it is the first: that is what a cursor leads to that is none of ours."""
        asked = {**_asked(status, before), "limit": str(ON_A_PAGE)}
        if cursor:
            try:
                query = query_of(AttemptQuery, {**asked, "cursor": cursor})
                return (await self._apis.attempts.list_attempts(visit.call(query))).body, False
            except Problem as problem:
                if problem.status != 422:
                    raise
        query = query_of(AttemptQuery, asked)
        return (await self._apis.attempts.list_attempts(visit.call(query))).body, before is None


def _asked(status: Status | None, before: datetime | None) -> dict[str, str]:
    """What the API is asked for; what is empty is as if it were not there."""
    return {"status": status or "", "to": rfc3339(before) if before else ""}


def waiting(wait: timedelta, language: Language) -> str:
    """How long something waits, in the largest unit that keeps it whole; empty for no time at all."""
    if not wait:
        return ""
    unit = next(name for name, size in _UNITS.items() if not wait % size)
    return format_timedelta(wait, granularity=unit, threshold=10**9, locale=language.locale)


async def _or_none(reading: Awaitable[T] | None) -> T | None:
    """What ClickHouse knows, or None while it does not answer or is not asked: the rest of the page is shown."""
    try:
        return None if reading is None else await reading
    except (ClickHouseUnavailable, QueryFailed):
        return None


def _url(visit: Visit, **query: str) -> str:
    return visit.organization_url(visit.request.match_info["webhook_id"], tab=KEY, **query)
