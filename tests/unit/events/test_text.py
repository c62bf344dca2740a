import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.events.text import escaped, text_of

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(values)
def test_a_values_text_is_its_json_text_and_fits_into_a_string(value: object) -> None:
    text = text_of(value)
    if isinstance(value, str):
        assert text == value
    elif value is None:
        assert text == ""
    else:
        assert text == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert json.loads(b'"' + escaped(text) + b'"') == text


@pytest.mark.parametrize("text", ["1e-05", "2.5", "1e+22", "0.1", "-0.0", "12345678901234567890", "true"])
def test_numbers_keep_their_json_text(text: str) -> None:
    assert text_of(json.loads(text)) == text
