"""What is typed into the form of a webhook, and what is said of it."""

import json
import re
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from dispatcher.events.examples import example_templates
from dispatcher.events.samples import sample_values
from dispatcher.events.types import EventType
from dispatcher.events.variables import names_of
from dispatcher.portal.api.problems import Problem
from dispatcher.portal.api.webhook_views import NewWebhook, WebhookChange
from dispatcher.portal.pages.errors_in_words import in_words
from dispatcher.portal.pages.islands import script_json, texts, texts_script
from dispatcher.portal.pages.languages import ENGLISH, LANGUAGES, language
from dispatcher.portal.pages.static_files import ROOT
from dispatcher.portal.pages.typed_webhook import TypedWebhook, name_of_ready_template, ready_template
from dispatcher.webhooks.target_headers import MASK

GOOD = TypedWebhook(
    name="Tickets",
    target_url="https://tickets.example/",
    all_items=True,
    template='{"text": "#alert_name"}',
    headers=(("X-Team", "desk"),),
    rate_limit="5",
)


def errors(**typed: Any) -> dict[str, str]:
    """What is wrong with a form, by field, in the API's words."""
    fields = {name: typed.get(name, getattr(GOOD, name)) for name in TypedWebhook.__slots__}
    with pytest.raises(Problem) as raised:
        TypedWebhook(**fields).body(NewWebhook, language("en"))
    return {error.field.split(".")[0]: error.detail for error in raised.value.details.errors or ()}


def test_what_is_right_is_the_api_s_body() -> None:
    body = GOOD.body(NewWebhook, language("en"))
    assert (body.name, body.items.all, body.rate_limit) == ("Tickets", True, 5.0)
    assert (body.payload_template, body.headers) == ({"text": "#alert_name"}, {"X-Team": "desk"})
    assert GOOD.body(WebhookChange, language("en")).model_fields_set == set(NewWebhook.model_fields)


def test_every_bad_header_is_named_beside_what_else_is_wrong() -> None:
    bad = {"name": "", "headers": (("Host", "x"), ("X", "é"), ("Y", "z"))}
    typed = TypedWebhook(**{name: bad.get(name, getattr(GOOD, name)) for name in TypedWebhook.__slots__})
    with pytest.raises(Problem) as raised:
        typed.body(NewWebhook, language("en"))
    assert [error.field for error in raised.value.details.errors or ()] == ["headers.Host", "headers.X", "name"]


BAD: list[tuple[str, Any]] = [
    ("name", ""),
    ("name", "  "),
    ("name", "x" * 201),
    ("name", "a\x00b"),
    ("event_type", "nonsense"),
    *(
        ("target_url", url)
        for url in (
            "",
            "https://a/" + "x" * 3000,
            "https://a/" + "ä" * 1000,
            "https://a b/",
            "https://a/#x",
            "https://a:b/",
            "ftp://a/",
            "https://u:p@a/",
            "https:///x",
            "https://a:0/",
            "https://[::g]/",
            "https://[fe80::1%25eth0]/",
            "https://-a/",
            "https://ä\u0301\u0301..x/",
        )
    ),
    *(
        ("template", text)
        for text in (
            "",
            " \n",
            "[]",
            "{",
            '{"a"',
            '{"a" 1}',
            '{"a": 1',
            '{"a":}',
            "{} x",
            '{"a',
            '{"a": "\t"}',
            '{"a": "\\x"}',
            '{"a": "\\u12"}',
            '{"a": 1, "a": 2}',
            '{"a": NaN}',
            '{"a": 1e999}',
            f'{{"a": {"1" * 5000}}}',
            '{"a":' * 150 + "1" + "}" * 150,
            '{"a":' * 100_000,
            json.dumps({"a": "x" * 1_100_000}),
        )
    ),
    *(
        ("headers", headers)
        for headers in (
            (("", "x"),),
            tuple((f"X-{n}", "") for n in range(40)),
            (("A", "1"), ("a", "2")),
            (("A", "1"), ("A", "2")),
            (("A", "x" * 5000),),
            (("A", MASK),),
            (("A", "ä"),),
            (("A", "x" * 4000), ("B", "x" * 4000), ("C", "x" * 4000)),
            (("A B", ""),),
            (("Connection", ""),),
            (("Host", ""),),
        )
    ),
    *(
        ("rate_limit", rate)
        for rate in ("x", "0", "-1", "10001", "nan", "inf", "1e3", "1,5,5", "1.000", "9" * 5000, "1,0e99999999")
    ),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_what_is_wrong_is_told_at_its_field_in_sentences_of_every_language(field: str, value: Any) -> None:
    [(told, detail)] = errors(**{field: value}).items()
    assert told == {"template": "payload_template"}.get(field, field)
    english, spanish = (in_words(detail, language(code)) for code in ("en", "es"))
    assert english.endswith("."), english
    assert english != detail
    assert spanish != english
    assert "%(" not in english + spanish


@pytest.mark.parametrize(
    ("typed", "english", "spanish"),
    [
        ("5", 5, 5),
        ("1000", 1000, 1000),
        ("2.5", 2.5, 2.5),
        ("2,5", 2.5, 2.5),
        ("0.001", 0.001, 0.001),
        ("0,001", 0.001, 0.001),
        ("1.25", 1.25, 1.25),
        ("1,000", 1000, None),
        ("1.000", None, 1000),
        ("2,500", 2500, None),
        ("2.500", None, 2500),
        ("1,234", 1234, 1.234),
        ("1.234", 1.234, 1234),
        ("1,234.5", 1234.5, 1234.5),
        ("1.234,5", 1234.5, 1234.5),
    ],
)
def test_a_rate_limit_means_what_the_language_writes_so(
    typed: str, english: float | None, spanish: float | None
) -> None:
    form = TypedWebhook(**{**{n: getattr(GOOD, n) for n in TypedWebhook.__slots__}, "rate_limit": typed})
    for code, meant in (("en", english), ("es", spanish)):
        if meant is None:
            with pytest.raises(Problem):
                form.body(NewWebhook, language(code))
        else:
            assert form.body(NewWebhook, language(code)).rate_limit == meant


def test_what_can_be_read_in_two_ways_is_told_with_both() -> None:
    [detail] = errors(rate_limit="1.000").values()
    assert in_words(detail, language("en")) == "This can be read as 1,000 or as 1. Write the one that you mean."
    assert "1.000 o como 1." in in_words(detail, language("es"))


@given(st.sampled_from(sorted(LANGUAGES)), st.floats(0.001, 10_000), st.booleans())
def test_a_rate_limit_that_is_shown_means_the_same_when_it_is_typed(code: str, rate: float, grouped: bool) -> None:
    assert language(code).meant_by(language(code).number(rate, grouped=grouped)) == (rate,)


def test_items_of_another_event_type_are_not_taken_for_its_own() -> None:
    typed = {"all_items": False, "item_ids": ("alert-1",), "items_of": "active_alert"}
    assert list(errors(**typed, event_type="operation_executed")) == ["items"]
    assert list(errors(all_items=False)) == ["items"]


def test_every_error_is_told_at_once() -> None:
    assert set(errors(name="", target_url="", template="{", all_items=False, rate_limit="x")) == {
        "name",
        "target_url",
        "payload_template",
        "items",
        "rate_limit",
    }


def test_a_masked_value_is_for_the_api_to_judge_where_there_is_one() -> None:
    typed = TypedWebhook(**{**{n: getattr(GOOD, n) for n in TypedWebhook.__slots__}, "headers": (("A", MASK),)})
    assert typed.body(WebhookChange, language("en")).headers == {"A": MASK}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\r")))
def test_a_template_comes_back_as_it_was_typed(text: str) -> None:
    sent = MultiDict({"payload_template": text.replace("\n", "\r\n")})
    assert TypedWebhook.read(sent).template == text


def test_ids_come_from_boxes_and_lines_each_once() -> None:
    fields = MultiDict([("items", "a"), ("items", "b"), ("items", "two\r\nlines"), ("item_ids", " b\r\n\r\nc d ")])
    assert TypedWebhook.read(fields).item_ids == ("a", "b", "two\nlines", "c d")


@pytest.mark.parametrize("event_type", EventType)
def test_ready_templates_and_samples_use_the_type_s_variables(event_type: EventType) -> None:
    assert set(sample_values(event_type, "org", "Org")) == names_of(event_type)
    for name, title in (("example", "Portal"), ("slack", "Slack"), ("teams", "Microsoft Teams")):
        text = ready_template(name, event_type)
        assert json.loads(text) == example_templates(event_type)[title]
        assert name_of_ready_template(text, event_type) == name
    assert name_of_ready_template(ready_template("slack", event_type) + " ", event_type) is None


@pytest.mark.parametrize("code", sorted(set(LANGUAGES) - {ENGLISH}))
def test_the_islands_speak_every_language(code: str) -> None:
    built = ROOT / "built" / "texts.json"
    if not built.exists():
        pytest.skip("the frontend is not built: make environment")
    english = json.loads(built.read_text("utf-8"))
    assert {name: set(found) for name, found in texts(code).items()} == {
        name: set(found) for name, found in english.items()
    }
    for name, found in english.items():
        for key, text in found.items():
            assert set(_holes(texts(code)[name][key])) == set(_holes(text)), (name, key)


def _holes(text: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", text)


def test_json_in_a_page_ends_no_element() -> None:
    assert "<" not in script_json({"a": "</script><!--"})
    assert json.loads(script_json({"a": "</script>"})) == {"a": "</script>"}
    assert texts_script("en", "json-editor") == ""
    assert set(json.loads(texts_script("es", "json-editor").split(">", 1)[1].split("</script>")[0])) == {"json-editor"}


def test_a_header_that_is_there_twice_is_found_soon_among_many() -> None:
    names = [f"X-{number}" for number in range(20_000)]
    began = process_time()
    found = errors(headers=tuple((name, "a") for name in [*names, names[-1]]))
    assert process_time() - began < 5
    assert found["headers"].startswith("the header X-19999 is there twice")
