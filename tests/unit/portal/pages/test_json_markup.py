"""JSON laid out for people says what it said, however it is nested."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.portal.pages.json_markup import as_json

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
