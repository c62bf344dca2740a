"""The main screen: the organization's webhooks, to be searched, filtered and sorted."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from dispatcher.errors import ClickHouseUnavailable
from dispatcher.events.types import DESCRIPTIONS, EventType
from dispatcher.folding import folded
from dispatcher.portal.api.operation import API, ORGANIZATION
from dispatcher.portal.api.problems import Problem
from dispatcher.portal.api.webhooks import WebhookQuery, WebhooksApi
from dispatcher.portal.pages.numbered import NumberedPage
from dispatcher.portal.pages.sparkline import Sparkline, sparkline
from dispatcher.portal.pages.visit import Visit, query_of
from dispatcher.portal.pages.wiring import Page
from dispatcher.recording.clickhouse import QueryFailed
from dispatcher.recording.overview import DayOfMessages, RecentDays, RecentDeliveries
from dispatcher.webhooks.webhook import Webhook

PATH = ORGANIZATION.removeprefix(API) + "/webhooks"
DAYS = 28
ON_A_PAGE = 50
PART = "deliveries"
"""How they went: what follows the page."""


class OverviewQuery(WebhookQuery):
    """Which webhooks, in which order. ``-name``: the other way round."""

    sort: Annotated[str, Field(pattern=r"^-?(name|event_type|target_url|status|success_rate)$")] = "name"
    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    whole: str = ""
    """As ``Visit.whole`` has it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A webhook, and how its last 28 days went; ``success_rate`` is None when no message ended."""

    webhook: Webhook
    recent: RecentDays | None

    @property
    def successful(self) -> int:
        """Messages that arrived."""
        return self.recent.successful if self.recent else 0

    @property
    def failed(self) -> int:
        """Messages that failed for good."""
        return self.recent.failed if self.recent else 0

    @property
    def success_rate(self) -> float | None:
        """Between 0 and 1."""
        ended = self.successful + self.failed
        return self.successful / ended if ended else None


class OverviewPage:
    """Shows 50 webhooks at a time. How they went is asked from ClickHouse at once, and follows the page."""

    def __init__(self, api: WebhooksApi, recent: RecentDeliveries, clock: Callable[[], datetime]) -> None:
        self._api = api
        self._recent = recent
        self._clock = clock

    def pages(self) -> Sequence[Page]:
        """What is served."""
        return (Page(PATH, get=self.show),)

    async def show(self, visit: Visit) -> web.Response:
        """The table."""
        query = _asked(visit.request.query)
        today = self._clock().date()
        span = [today - timedelta(days=ago) for ago in reversed(range(DAYS))]
        column, backwards = query.sort.removeprefix("-"), query.sort.startswith("-")
        found = self._api.found(visit.organization_id, query)
        numbered = NumberedPage.of(query.page, len(found), ON_A_PAGE)
        by_rate = column == "success_rate"
        # Of those on other pages nothing need be known, unless it decides who is on this one.
        recent: Mapping[str, RecentDays] | None = None
        only_part = visit.only(PART)
        complete = visit.whole or only_part
        if complete and by_rate:
            recent = await self._recently(visit.organization_id, span[0], None)
        rows = [Row(webhook, (recent or {}).get(webhook.id)) for webhook in found]
        rows.sort(key=lambda row: (*_by_name(row), row.webhook.id))
        rows.sort(key=_keys(visit)[column], reverse=backwards)
        page = numbered.part(rows)
        if complete and not by_rate:
            recent = await self._recently(visit.organization_id, span[0], [row.webhook.id for row in page])
            page = [Row(row.webhook, (recent or {}).get(row.webhook.id)) for row in page]
        visit.followed = bool(found) and not complete
        return visit.render(
            "overview_part.html" if only_part else "overview.html",
            query=query,
            column=column,
            backwards=backwards,
            rows=[(row, _picture(row, span) if complete else None) for row in page],
            rows_follow=by_rate and not complete,
            part=PART,
            found=len(found),
            filtered=bool(query.search.strip() or query.event_type or query.status),
            number=numbered.number,
            last=numbered.last,
            event_types=[*EventType],
            without_deliveries=complete and recent is None,
            days=DAYS,
        )

    async def _recently(
        self, organization_id: str, since: date, webhook_ids: Collection[str] | None
    ) -> Mapping[str, RecentDays] | None:
        try:
            return await self._recent.by_webhook(organization_id, since, webhook_ids)
        except (ClickHouseUnavailable, QueryFailed):
            return None


def _asked(parameters: Mapping[str, str]) -> OverviewQuery:
    """What an address asks for; what means nothing in it is as if it were not there."""
    known = {name: parameters[name] for name in OverviewQuery.model_fields if name in parameters}
    try:
        return query_of(OverviewQuery, known)
    except Problem as problem:
        bad = {error.field for error in problem.details.errors or ()}
        return query_of(OverviewQuery, {name: value for name, value in known.items() if name not in bad})


def _keys(visit: Visit) -> Mapping[str, Callable[[Row], Any]]:
    names = {one: folded(visit.gettext(DESCRIPTIONS[one].display_name)) for one in EventType}
    return {
        "name": _by_name,
        "event_type": lambda row: names[row.webhook.event_type],
        "target_url": lambda row: folded(row.webhook.target_url),
        "status": lambda row: not row.webhook.enabled,
        "success_rate": lambda row: -1.0 if row.success_rate is None else row.success_rate,
    }


def _by_name(row: Row) -> tuple[str, str]:
    return folded(row.webhook.name), row.webhook.name


def _picture(row: Row, span: Sequence[date]) -> Sparkline:
    days = row.recent.by_day if row.recent else {}
    return sparkline([days.get(day, DayOfMessages()) for day in span])
