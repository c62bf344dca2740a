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


def test_times_in_sentences_are_those_of_the_person_s_zone() -> None:
    page = an_error("Rotate again at 2026-11-24T12:00:00.000Z.")
    moment = "2026-11-24T12:00:00.000Z"
    assert f'Rotate again at <time datetime="{moment}" title="{moment}">Nov 24, 2026' in page


def test_what_only_looks_like_a_time_and_what_stands_around_one_stays_text() -> None:
    page = an_error("<b>2026-11-24T12:00:00.000Z</b> 2026-13-24T12:00:00.000Z")
    assert "&lt;b&gt;<time " in page
    assert "</time>&lt;/b&gt; 2026-13-24T12:00:00.000Z" in page
