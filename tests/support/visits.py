"""Visits of pages without a server."""

from datetime import UTC, datetime, timedelta

from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from dispatcher.portal.pages.languages import language
from dispatcher.portal.pages.rendering import Renderer
from dispatcher.portal.pages.session import Session
from dispatcher.portal.pages.static_files import StaticFiles
from dispatcher.portal.pages.visit import Visit
from tests.support.serving import CALLER

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SESSION = Session(id="s", caller=CALLER, csrf="the token", started=NOW, used=NOW, ends=NOW + timedelta(hours=8))

_RENDERER = Renderer(StaticFiles())


def a_visit(path: str, *, session: Session | None = SESSION, code: str = "en", **named: str) -> Visit:
    """Somebody, an admin of ``org-contoso`` who is signed in, asks for a page; ``named`` are the names in its path."""
    return Visit(make_mocked_request("GET", path, match_info=named), language(code), _RENDERER, session)


def html_of(response: web.Response) -> str:
    """The page."""
    assert isinstance(response.body, bytes)
    return response.body.decode()
