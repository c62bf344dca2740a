"""Operations of the API and pages on a server of their own, without Kafka and ClickHouse."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import monotonic
from unittest.mock import AsyncMock

from aiohttp import web
from cryptography.fernet import Fernet

from dispatcher.portal.api.malformed import ProblemRunner
from dispatcher.portal.api.operation import AnyOperation
from dispatcher.portal.api.rate_limits import RateLimits
from dispatcher.portal.api.server import CallerOf, application
from dispatcher.portal.auth import Caller, Membership
from dispatcher.portal.ended_sessions import EndedSessions
from dispatcher.portal.pages.wiring import Page, Site
from dispatcher.webhooks.vault import Vault
from tests.support.web_server import listening

CALLER = Caller(
    sub="u-1", name="Ada", organizations={"org-contoso": Membership(name="Contoso", role="organization_admin")}
)


async def an_admin(_: web.Request) -> Caller:
    """Everybody is an admin of ``org-contoso``."""
    return CALLER


@asynccontextmanager
async def serving(
    operations: Iterable[AnyOperation] = (),
    pages: Iterable[Page] | Callable[[Site], Iterable[Page]] = (),
    *,
    public_url: str | None = None,
    caller_of: CallerOf = an_admin,
    without_secret: bool = False,
) -> AsyncIterator[str]:
    """The URL. ``pages``, or what makes them of the site whose sessions they share."""
    limits = RateLimits(monotonic)
    app = application(operations, caller_of, limits)
    vault = Vault(Fernet.generate_key().decode())
    ended = EndedSessions(AsyncMock(), "sessions", _now)
    site = Site(vault, public_url, limits, ended, _now, without_secret=without_secret)
    site.add_to(app, pages(site) if callable(pages) else pages)
    async with listening(ProblemRunner(app, access_log=None)) as url:
        yield url


def _now() -> datetime:
    return datetime.now(UTC)
