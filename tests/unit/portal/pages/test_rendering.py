"""What every page has."""

from aiohttp.test_utils import make_mocked_request

from dispatcher.portal.api.problems import Problem
from dispatcher.portal.pages.languages import language
from dispatcher.portal.pages.rendering import Renderer
from dispatcher.portal.pages.static_files import StaticFiles
from dispatcher.portal.pages.visit import Visit
from dispatcher.portal.pages.wiring import error_page

RENDERER = Renderer(StaticFiles())


def an_error(detail: str, code: str = "en") -> str:
    """A page that says what went wrong."""
    visit = Visit(make_mocked_request("GET", "/"), language(code), RENDERER, None)
    body = error_page(visit, Problem(409, detail)).body
    assert isinstance(body, bytes)
    return body.decode()


def test_where_a_link_leads_to_english_it_says_so() -> None:
    assert 'href="/api/docs" hreflang="en"' in an_error("Because.", code="es")
