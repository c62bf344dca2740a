import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.events.reading import read_event
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


numbers = st.from_regex(r"\A-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,8})?([eE][+-]?[0-9]{1,2})?\Z")
spaces = st.text(" \n\t", max_size=2)


@given(numbers, spaces, spaces)
def test_numbers_of_an_event_keep_the_text_by_which_it_gave_them(number: str, before: str, behind: str) -> None:
    value = f"{before}{number}{behind}"
    members = f'"organization_id": "org-contoso", "alone":{value}, "listed":[{value},{value}], "last":{{"n":{value}}}'
    envelope = '"specversion": "1.0", "id": "1", "source": "/alerts", "type": "active_alert"'
    event = read_event(f'{{{envelope}, "data": {{{members}}}}}'.encode())
    assert text_of(event.data["alone"]) == number
    assert text_of(event.data["listed"]) == f"[{number},{number}]"
    assert text_of(event.data["last"]) == f'{{"n":{number}}}'
