"""JSON laid out for people says what it said, however it is nested."""

import json
import time
from html import unescape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.portal.pages.json_markup import as_json, coloured_json, pretty_body

TEXTS = st.text(st.characters(), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_it_is_the_same_json_and_has_no_half_of_a_surrogate_pair(value: Any) -> None:
    text = as_json({"a": value, "half": "x\ud800y"})
    assert json.loads(text.encode()) == {"a": value, "half": "x\ud800y"}
    assert '"x\\ud800y"' in text


def test_a_small_template_is_not_megabytes_by_its_indents() -> None:
    value: Any = [1] * 100_000
    for _ in range(90):
        value = [value]
    assert as_json({"a": value}) == json.dumps({"a": value}, separators=(",", ":"))
    assert as_json({"a": [1] * 10_000}).count("\n") == 10_003


def test_more_lines_than_anybody_reads_are_one() -> None:
    value = {"a": [1] * 100_000}
    assert as_json(value) == json.dumps(value, separators=(",", ":"))


def test_only_so_many_tokens_have_colours_and_the_rest_is_there_as_text() -> None:
    text = as_json([f"<&{number}" for number in range(4_000)])
    html = coloured_json(text)
    assert html.count('<span class="json-string">') == 2_000
    assert unescape(html.replace('<span class="json-string">', "").replace("</span>", "")) == text


def test_a_preview_that_would_have_too_many_lines_is_shown_as_it_is_sent() -> None:
    body = json.dumps({"a": [1] * 60_000}, separators=(",", ":"))
    assert "\n" not in pretty_body(body)
    assert pretty_body(body).startswith('{<span class="json-key">"a"</span>:[<span class="json-value">1</span>,')


DENSE = [
    "[" + ",".join(["1"] * 8_190) + "]",
    "[" + ",".join(['""'] * 5_460) + "]",
    json.dumps(["\u200b" * 5_000], ensure_ascii=False),
]


@pytest.mark.parametrize("body", DENSE, ids=["numbers", "strings", "unseen"])
def test_what_a_target_answers_keeps_the_portal_from_others_for_a_moment_only(body: str) -> None:
    # A few milliseconds, and some times that on a machine that is busy; it was 150.
    assert min(_seconds(body) for _ in range(5)) < 0.05


def _seconds(body: str) -> float:
    started = time.process_time()
    pretty_body(body)
    return time.process_time() - started
