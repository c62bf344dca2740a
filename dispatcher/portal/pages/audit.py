"""Who changed what: a tab of each webhook's page, and a page of the organization, which has deleted ones too."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from dispatcher.portal.api.audit_log import AuditApi, AuditQuery
from dispatcher.portal.api.operation import API, ORGANIZATION, Answer, Call
from dispatcher.portal.api.problems import Problem
from dispatcher.portal.api.webhook_views import WebhookView
from dispatcher.portal.api.webhooks import WebhookQuery, WebhooksApi
from dispatcher.portal.pages.languages import N_
from dispatcher.portal.pages.members import members
from dispatcher.portal.pages.visit import Visit, query_of
from dispatcher.portal.pages.webhook import Tab
from dispatcher.portal.pages.wiring import Page

PATH = ORGANIZATION.removeprefix(API) + "/audit"

_ACTIONS = {
    "created": N_("Created"),
    "updated": N_("Changed"),
    "enabled": N_("Enabled"),
    "disabled": N_("Disabled"),
    "deleted": N_("Deleted"),
    "tested": N_("Tested"),
    "secret_rotated": N_("Signing secret rotated"),
    "resent": N_("Message sent again"),
    "recovered": N_("Failed messages sent again"),
}


class AuditPages:
    """Shows the entries of the audit, the latest first."""

    def __init__(self, audit: AuditApi, webhooks: WebhooksApi) -> None:
        self._audit = audit
        self._webhooks = webhooks

    def tab(self) -> Tab:
        """The tab of a webhook's page."""
        return Tab("audit", N_("Audit"), "history", "webhook_audit.html", self._of_webhook)

    def pages(self) -> Sequence[Page]:
        """What is served."""
        return (Page(PATH, get=self.show),)

    async def show(self, visit: Visit) -> web.Response:
        """What was changed in the organization."""
        return visit.render(
            "audit.html",
            present={webhook.id for webhook in self._webhooks.found(visit.organization_id, WebhookQuery())},
            **await _entries(visit, self._audit.list_organization_audit),
            **_words(visit),
        )

    async def _of_webhook(self, visit: Visit, webhook: WebhookView) -> Mapping[str, Any]:  # noqa: ARG002 - as a Tab has it
        return {**await _entries(visit, self._audit.list_audit), **_words(visit)}


async def _entries(visit: Visit, listed: Callable[[Call[Any, Any]], Awaitable[Answer[Any]]]) -> Mapping[str, Any]:
    """A page of entries: the first where the cursor is none of ours, or what it leads to is no longer kept."""
    if cursor := visit.request.query.get("cursor", ""):
        try:
            page = (await listed(visit.call(query_of(AuditQuery, {"cursor": cursor})))).body
        except Problem as problem:
            if problem.status != 422:
                raise
        else:
            if page.items:
                return {"entries": page.items, "next_cursor": page.next_cursor, "first_page": False}
    page = (await listed(visit.call(AuditQuery()))).body
    return {"entries": page.items, "next_cursor": page.next_cursor, "first_page": True}


def _words(visit: Visit) -> Mapping[str, Any]:
    return {
        "actions": {action: visit.gettext(text) for action, text in _ACTIONS.items()},
        "members": members(visit.language),
    }
