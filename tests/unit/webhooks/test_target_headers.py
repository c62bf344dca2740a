import pytest

from dispatcher.validation import BadMembers
from dispatcher.webhooks.target_headers import (
    MASK,
    MAX_HEADERS,
    MAX_NAME_LENGTH,
    MAX_VALUE_LENGTH,
    check_target_headers,
    mask,
    merge_masked,
)


def test_accepts_ordinary_headers_as_they_came() -> None:
    headers = {"Authorization": "Bearer a.b-c", "X-Empty": "", "cookie": "a=b; c=d", "x-tab": "a\tb"}
    assert check_target_headers(headers) == headers


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"": "x"}, "not a header's name"),
        ({"a b": "x"}, "not a header's name"),
        ({"a:b": "x"}, "not a header's name"),
        ({"é": "x"}, "not a header's name"),
        ({"x" * (MAX_NAME_LENGTH + 1): "x"}, "not a header's name"),
        ({"Host": "x"}, "Host is set by the dispatcher"),
        ({"Content-Length": "1"}, "set by the dispatcher"),
        ({"content-type": "text/plain"}, "set by the dispatcher"),
        ({"Traceparent": "x"}, "set by the dispatcher"),
        ({"Webhook-Id": "x"}, "set by the dispatcher"),
        ({"webhook-anything": "x"}, "set by the dispatcher"),
        ({"Connection": "x"}, "about the connection"),
        ({"TE": "x"}, "about the connection"),
        ({"Transfer-Encoding": "chunked"}, "about the connection"),
        ({"Upgrade": "x"}, "about the connection"),
        ({"x": "secret\r\nInjected: 1"}, "header x has other than printable"),
        ({"x": "secret\x00"}, "printable"),
        ({"x": " secret"}, "printable"),
        ({"x": "secret\n"}, "printable"),
        ({"x": "sécret"}, "printable"),
        ({"x": MASK}, "masked"),
        ({"X-A": "1", "x-a": "2"}, "twice"),
        ({"x": "secret" * MAX_VALUE_LENGTH}, "longer than 4096"),
        ({f"x-{number}": "s" * 1000 for number in range(10)}, "together"),
        ({f"x-{number}": "" for number in range(MAX_HEADERS + 1)}, "more than 32"),
    ],
)
def test_refuses_with_the_reason_and_without_the_value(headers: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        check_target_headers(headers)
    assert "secret" not in str(caught.value)


def test_names_every_header_that_cannot_be_sent() -> None:
    with pytest.raises(BadMembers) as caught:
        check_target_headers({"Host": "é", "X-A": "1", "x-a": "2", "X-B": MASK})
    assert [path for path, _ in caught.value.wrong] == [("Host",), ("Host",), ("x-a",), ("X-B",)]
    with pytest.raises(BadMembers) as caught:
        check_target_headers({f"Webhook-{number}": "" for number in range(100_000)})
    assert len(caught.value.wrong) == MAX_HEADERS + 2
    with pytest.raises(BadMembers) as caught:
        merge_masked({"X-A": MASK, "X-B": MASK, "X-C": MASK, "X-D": "4"}, {"x-b": "2"})
    assert [path for path, _ in caught.value.wrong] == [("X-A",), ("X-C",)]


def test_mask_shows_nothing_of_a_value() -> None:
    assert mask({"Authorization": "Bearer x", "X": ""}) == {"Authorization": MASK, "X": MASK}


def test_a_masked_value_sent_back_is_the_current_one() -> None:
    current = {"Authorization": "Bearer x", "X-Old": "1"}
    assert merge_masked({"authorization": MASK, "X-New": "2"}, current) == {"authorization": "Bearer x", "X-New": "2"}
    assert merge_masked(mask(current), current) == current


def test_a_masked_value_stands_for_nothing_else() -> None:
    with pytest.raises(ValueError, match="X-New is masked"):
        merge_masked({"X-New": MASK}, {"X-Old": "1"})
