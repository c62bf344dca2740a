"""The way in, and what people choose for themselves: language and theme."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from aiohttp import web

from dispatcher.portal.api.problems import Problem
from dispatcher.portal.pages.languages import LANGUAGES
from dispatcher.portal.pages.visit import LANGUAGE_COOKIE, THEME_COOKIE, THEMES, Visit, webhooks_url
from dispatcher.portal.pages.wiring import Page

_A_YEAR = 365 * 24 * 3600


def pages(*, secure: bool) -> Sequence[Page]:
    """The first page, and where the menus post to."""

    async def preferences(visit: Visit) -> web.Response:
        response = visit.see(local(visit.fields.get("next", "/")))
        for name, allowed in ((LANGUAGE_COOKIE, tuple(LANGUAGES)), (THEME_COOKIE, THEMES)):
            if (value := visit.fields.get(name)) in allowed:
                response.set_cookie(
                    name, value, max_age=_A_YEAR, path="/", samesite="Lax", secure=secure, httponly=True
                )
        return response

    return (Page("/", get=first_page), Page("/preferences", post=preferences, open=True, any_session=True))


async def first_page(visit: Visit) -> web.Response:
    """The overview of an organization of the person's."""
    organizations = visit.organizations
    if not organizations:
        raise Problem(403, "Only Organization Admins configure webhooks.")
    return visit.see(webhooks_url(organizations[0][0]))


def local(url: str) -> str:
    r"""An address of ours to go on to; what leads elsewhere becomes ``/``, ``//host`` and ``/\host`` included."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "/"
    here = url.startswith("/") and not url.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return url if here and url.isprintable() and "\\" not in url else "/"
