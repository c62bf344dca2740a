from time import process_time

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


def test_a_member_that_occurs_twice_is_found_soon_among_many() -> None:
    members = ",".join(f'"{number}":0' for number in range(100_000))
    began = process_time()
    with pytest.raises(NotJson, match='the member "z" occurs twice'):
        read_strict_json(f'{{{members},"z":0,"z":1}}'.encode())
    assert process_time() - began < 5
