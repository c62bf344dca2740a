"""Every page of the portal. A new one is added to the list here."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from dispatcher.portal.api.apis import Apis
from dispatcher.portal.auth import Authentication, Caller
from dispatcher.portal.pages import home
from dispatcher.portal.pages.attempt import AttemptPages
from dispatcher.portal.pages.audit import AuditPages
from dispatcher.portal.pages.metrics import MetricsPages
from dispatcher.portal.pages.oidc import Provider
from dispatcher.portal.pages.overview import OverviewPage
from dispatcher.portal.pages.sign_in import SignIn
from dispatcher.portal.pages.webhook import WebhookPage
from dispatcher.portal.pages.webhook_form import WebhookForm
from dispatcher.portal.pages.wiring import Page, Site
from dispatcher.recording.overview import RecentDeliveries


def all_pages(
    site: Site,
    apis: Apis,
    authentication: Authentication,
    recent: RecentDeliveries,
    people: Sequence[Caller],
    provider: Provider | None,
    clock: Callable[[], datetime],
    waits: Sequence[timedelta],
) -> Sequence[Page]:
    """What is served beside the API.

    ``people`` are those of a demonstration, ``provider`` where others sign in; ``waits`` the retry schedule's.
    """
    audit = AuditPages(apis.audit, apis.webhooks)
    metrics = MetricsPages(apis, waits, clock)
    return (
        *home.pages(secure=site.secure),
        *SignIn(site.sessions, authentication, people, provider).pages(),
        *OverviewPage(apis.webhooks, recent, clock).pages(),
        # Before the page whose path names a webhook: no webhook is called "new".
        *WebhookForm(apis).pages(),
        *WebhookPage(apis, [metrics.tab(), audit.tab()]).pages(),
        *metrics.pages(),
        *AttemptPages(apis).pages(),
        *audit.pages(),
    )
