"""A webhook's page: its cards and tabs, and what can be done with it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from dispatcher.events.types import DESCRIPTIONS
from dispatcher.events.variables import names_of
from dispatcher.folding import folded, found_in
from dispatcher.portal.api.apis import Apis
from dispatcher.portal.api.choices import ResourceView
from dispatcher.portal.api.concurrency import IF_MATCH
from dispatcher.portal.api.operation import Answer
from dispatcher.portal.api.problems import Problem
from dispatcher.portal.api.rate_limits import TESTS
from dispatcher.portal.api.testing import TestResult
from dispatcher.portal.api.webhook_views import WebhookView
from dispatcher.portal.pages import overview
from dispatcher.portal.pages.failures_in_words import failed_test_in_words
from dispatcher.portal.pages.hostile import plain
from dispatcher.portal.pages.languages import N_
from dispatcher.portal.pages.numbered import NumberedPage
from dispatcher.portal.pages.problems_in_words import problem_in_words
from dispatcher.portal.pages.session import Written
from dispatcher.portal.pages.verifying import samples
from dispatcher.portal.pages.visit import Visit
from dispatcher.portal.pages.wiring import Page

PATH = overview.PATH + "/{webhook_id}"
RESOURCES_ON_A_PAGE = 500
_NOTHING_DONE = N_("%(name)s changed the webhook meanwhile, so nothing was done with it. Look at what it is now.")


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab: ``?tab=key``. ``context`` asks for what its template shows, which extends ``webhook.html``.

    ``parts`` are those that follow the page, and ``part_template`` shows one of them alone.
    """

    key: str
    label: str
    icon: str
    template: str
    context: Callable[[Visit, WebhookView], Awaitable[Mapping[str, Any]]]
    parts: Sequence[str] = ()
    part_template: str = ""


class WebhookPage:
    """Shows a webhook, and does what its buttons say. Each action ends on the page again."""

    def __init__(self, apis: Apis, tabs: Sequence[Tab]) -> None:
        self._apis = apis
        overview_tab = Tab("overview", N_("Overview"), "list", "webhook_overview.html", self._overview)
        self._others = {tab.key: tab for tab in tabs}
        self._tabs = {overview_tab.key: overview_tab, **self._others}

    def pages(self) -> Sequence[Page]:
        """What is served."""
        return (
            Page(PATH, get=self.show),
            Page(f"{PATH}/enable", get=_back, post=self.enable),
            Page(f"{PATH}/disable", get=_back, post=self.disable),
            Page(f"{PATH}/delete", get=_back, post=self.delete),
            Page(f"{PATH}/test", get=_back, post=self.test, limits=(TESTS,)),
            Page(f"{PATH}/rotate-secret", get=_back, post=self.rotate_secret),
        )

    async def show(self, visit: Visit) -> web.Response:
        """One of the tabs."""
        return await self._page(visit, visit.request.query.get("tab", "overview"))

    async def enable(self, visit: Visit) -> web.Response:
        """Send events to it from now on, if it is still what the person saw."""
        return await self._change(visit, self._apis.webhooks.enable_webhook, visit.gettext("The webhook is enabled."))

    async def disable(self, visit: Visit) -> web.Response:
        """Send nothing to it."""
        return await self._change(visit, self._apis.webhooks.disable_webhook, visit.gettext("The webhook is disabled."))

    async def delete(self, visit: Visit) -> web.Response:
        """Delete it, if it is still what the person saw."""
        try:
            await self._apis.webhooks.delete_webhook(visit.call(headers=_if_seen(visit)))
        except Problem as problem:
            meanwhile = N_(
                "%(name)s changed the webhook meanwhile, so it is not deleted. Look at what it is now, then delete it "
                "if you still want to."
            )
            return await self._in_the_way(visit, problem, meanwhile)
        visit.flash("success", visit.gettext("The webhook is deleted."))
        return visit.see(visit.organization_url())

    async def test(self, visit: Visit) -> web.Response:
        """Send the template as it stands, and show what came back."""
        answer = await self._apis.testing.test_webhook(visit.call())
        return await self._page(visit, "overview", test=answer.body)

    async def rotate_secret(self, visit: Visit) -> web.Response:
        """Make a new signing secret, and show it once."""
        try:
            answer = await self._apis.webhooks.rotate_secret(visit.call())
        except Problem as problem:
            return await self._in_the_way(visit, problem)
        wrote(self._apis, visit)
        visit.show_secret(visit.request.match_info["webhook_id"], answer.body.secret)
        return visit.see(f"{_url(visit)}#secret")

    async def _change(self, visit: Visit, operation: Callable[[Any], Awaitable[object]], done: str) -> web.Response:
        try:
            await operation(visit.call(headers=_if_seen(visit)))
        except Problem as problem:
            return await self._in_the_way(visit, problem)
        wrote(self._apis, visit)
        visit.flash("success", done)
        return visit.see(self._url_of_tab(visit))

    async def _in_the_way(self, visit: Visit, problem: Problem, meanwhile: str = _NOTHING_DONE) -> web.Response:
        """Back to where one sees what others did to the webhook meanwhile, told so."""
        if problem.status == 404:
            visit.flash(
                "error", visit.gettext("There is no such webhook any more: somebody deleted it. Nothing is sent to it.")
            )
            return visit.see(visit.organization_url())
        if problem.status == 412:
            changed = (await self._apis.webhooks.get_webhook(visit.call())).body
            text = visit.gettext(meanwhile, name=plain(changed.updated_by.name, 80))
        elif problem.status == 409:
            text = problem_in_words(problem.details.detail, visit.language)
        else:
            raise problem
        visit.flash("error", text)
        return visit.see(self._url_of_tab(visit))

    def _url_of_tab(self, visit: Visit) -> str:
        tab = visit.fields.get("tab", "")
        return _url(visit, tab=tab) if tab in self._others else _url(visit)

    async def _page(self, visit: Visit, key: str, *, test: TestResult | None = None) -> web.Response:
        answer = await webhook_of(self._apis, visit)
        tab = self._tabs.get(key) or self._tabs["overview"]
        context = await tab.context(visit, answer.body)
        return visit.render(
            tab.part_template if any(visit.only(part) for part in tab.parts) else tab.template,
            secret_of=answer.body.id if tab.key == "overview" else None,
            webhook=answer.body,
            revision=answer.headers["ETag"],
            tabs=[(one.key, visit.gettext(one.label), one.icon) for one in self._tabs.values()],
            tab=tab.key,
            test=test,
            test_error=failed_test_in_words(test.error, visit.language) if test and test.error else None,
            asks=visit.request.query.get("asks", ""),
            **context,
        )

    async def _overview(self, visit: Visit, webhook: WebhookView) -> Mapping[str, Any]:
        return {
            **self._resources(visit, webhook),
            "all_items": visit.gettext(DESCRIPTIONS[webhook.event_type].all_items_label),
            "variables": names_of(webhook.event_type),
            "samples": samples(),
        }

    def _resources(self, visit: Visit, webhook: WebhookView) -> Mapping[str, Any]:
        """A page of what the webhook is limited to; somebody may look for a part of names and ids among many."""

        def chosen(ids: Sequence[str]) -> Sequence[ResourceView]:
            return self._apis.choices.chosen(visit.organization_id, webhook.event_type, ids)

        every = webhook.items.ids
        many = len(every) > RESOURCES_ON_A_PAGE
        search = visit.request.query.get("resource", "").strip() if many else ""
        wanted = folded(search)
        ids = [one.id for one in chosen(every) if found_in(wanted, one.name, one.id)] if search else every
        wanted_page = _page_number(visit.request.query.get("resources_page", ""))
        numbered = NumberedPage.of(wanted_page, len(ids), RESOURCES_ON_A_PAGE)
        return {
            "resources": chosen(numbered.part(ids)),
            "many_resources": many,
            "searched": {"resource": search} if search else {},
            "resources_page": numbered.number,
            "resources_last": numbered.last,
        }


async def webhook_of(apis: Apis, visit: Visit) -> Answer[WebhookView]:
    """The webhook in the path, with what the person has made of it, though another portal took that in."""
    written = visit.session.written if visit.session is not None else None
    if written is not None and written.webhook_id == visit.request.match_info["webhook_id"]:
        await apis.webhooks.read_to(written.webhook_id, written.revision)
    return await apis.webhooks.get_webhook(visit.call())


def wrote(apis: Apis, visit: Visit) -> None:
    """Show the webhook in the path as the person has changed it from now on, at whichever portal."""
    webhook_id = visit.request.match_info["webhook_id"]
    if visit.session is not None:
        written = Written(webhook_id=webhook_id, revision=apis.webhooks.revision(webhook_id))
        visit.session = visit.session.model_copy(update={"written": written})


def _page_number(text: str) -> int:
    return max(1, int(text)) if text.isdecimal() and len(text) < 6 else 1


def _if_seen(visit: Visit) -> Mapping[str, str]:
    revision = visit.fields.get("revision")
    return {IF_MATCH: revision} if revision else {}


async def _back(visit: Visit) -> web.Response:
    return visit.see(_url(visit))


def _url(visit: Visit, **query: str) -> str:
    return visit.organization_url(visit.request.match_info["webhook_id"], **query)
