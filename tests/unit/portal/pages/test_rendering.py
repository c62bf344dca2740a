"""What every page has."""

from dispatcher.portal.api.problems import Problem
from dispatcher.portal.pages.rendering import TEMPLATES
from dispatcher.portal.pages.wiring import error_page
from tests.support.visits import a_visit, html_of


def an_error(detail: str, code: str = "en") -> str:
    """A page that says what went wrong."""
    return html_of(error_page(a_visit("/", code=code), Problem(409, detail)))


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


def test_no_field_cuts_what_is_pasted_without_a_word() -> None:
    assert [path.name for path in TEMPLATES.glob("*.html") if "maxlength" in path.read_text()] == []
