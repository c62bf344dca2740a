import pytest

from dispatcher.portal.api.strict_json import NotJson, read_strict_json


def test_reads_json() -> None:
    assert read_strict_json(b'{"a": [1, 2.5, true, null, "\\ud800"]}') == {"a": [1, 2.5, True, None, "\ud800"]}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"a": NaN}',
        b"[Infinity]",
        b"[1e999]",
        b'{"a": 1, "a": 1}',
        b'{"a": {"b": 1, "b": 2}}',
        b'"\xff"',
        b"[" * 100_000,
        b"1" * 5_000,
        b"\xef\xbb\xbf{}",
    ],
)
def test_refuses_what_is_not(text: bytes) -> None:
    with pytest.raises(NotJson):
        read_strict_json(text)
