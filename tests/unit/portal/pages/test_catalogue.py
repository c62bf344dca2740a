"""Every text of the pages is translated, and the catalogues hold nothing else."""

import re

import pytest

from dispatcher.portal.pages.languages import ENGLISH, LANGUAGES, catalogue_path, chosen
from tools.catalogue import catalogue, texts

OTHERS = sorted(set(LANGUAGES) - {ENGLISH})
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def test_texts_are_found_in_templates_handlers_and_beside_them() -> None:
    found = {message.id for message in texts()}
    assert {"Webhook Integrations", "The webhook is enabled.", "Active alert"} <= found


@pytest.mark.parametrize("code", OTHERS)
def test_catalogues_hold_every_text_and_no_other(code: str) -> None:
    written = {str(message.id) for message in catalogue(catalogue_path(code)) if message.id}
    wanted = {str(message.id) for message in texts() if message.id}
    assert written == wanted, "run python -m tools.catalogue, then write the translations"


@pytest.mark.parametrize("code", OTHERS)
def test_every_text_is_translated_with_its_placeholders(code: str) -> None:
    for message in catalogue(catalogue_path(code)):
        if not message.id:
            continue
        originals = message.id if isinstance(message.id, list | tuple) else [message.id]
        strings = message.string if isinstance(message.string, list | tuple) else [message.string]
        assert all(strings), f"not translated: {message.id}"
        assert not message.fuzzy, f"to be looked at: {message.id}"
        for string in strings:
            assert set(PLACEHOLDER.findall(str(string))) == set(PLACEHOLDER.findall(originals[-1])), message.id


@pytest.mark.parametrize("code", OTHERS)
def test_the_role_is_called_by_the_name_that_it_has(code: str) -> None:
    for message in catalogue(catalogue_path(code)):
        assert str(message.id).count("Organization Admin") == str(message.string).count("Organization Admin"), (
            message.id
        )


def test_the_dispatcher_has_one_name_in_spanish() -> None:
    found = [message for message in catalogue(catalogue_path("es")) if "the dispatcher" in str(message.id).lower()]
    assert len(found) > 3
    for message in found:
        assert "el despachador" in str(message.string).lower(), message.id


@pytest.mark.parametrize(
    ("cookie", "accepted", "code"),
    [
        (None, "", "en"),
        (None, "es-MX,es;q=0.9,en;q=0.8", "es"),
        (None, "fr, de;q=0.7", "en"),
        (None, "en;q=0.1, es;q=0.2", "es"),
        (None, "es;q=0", "en"),
        (None, "es;q=nonsense,,;;,*;q=0.1", "en"),
        ("es", "en", "es"),
        ("xx", "es", "es"),
    ],
)
def test_a_person_s_choice_comes_before_the_browser_s(cookie: str | None, accepted: str, code: str) -> None:
    assert chosen(cookie, accepted).code == code


def test_only_all_is_a_hundred_percent_and_only_none_is_zero() -> None:
    english, spanish = chosen("en", ""), chosen("es", "")
    assert [english.percent(share) for share in (1, 0.99999, 0.5, 0.00001, 0)] == ["100%", "99.9%", "50%", "0.1%", "0%"]
    assert spanish.percent(0.99999) == "99,9\N{NO-BREAK SPACE}%"
