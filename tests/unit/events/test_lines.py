from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.events.lines import Line, LineSplitter


def _split(*pieces: bytes, longest: int = 20) -> list[Line]:
    splitter = LineSplitter(longest)
    return [line for piece in pieces for line in splitter.feed(piece)] + list(splitter.end())


def test_lines_are_numbered_from_one_and_blank_ones_count() -> None:
    assert _split(b"a\n\n \r\nb") == [Line(1, b"a"), Line(4, b"b")]


def test_a_line_is_given_as_soon_as_it_ends() -> None:
    splitter = LineSplitter(20)
    assert list(splitter.feed(b"a\nb")) == [Line(1, b"a")]
    assert list(splitter.feed(b"c\n")) == [Line(2, b"bc")]
    assert list(splitter.end()) == []


def test_what_windows_writes() -> None:
    assert _split(b"\xef\xbb\xbfa\r\nb\r\n") == [Line(1, b"a"), Line(2, b"b")]


@pytest.mark.parametrize(("size", "given"), [(20, b"x" * 20), (21, None), (22, None), (1000, None)])
def test_a_line_that_is_too_long_is_named_and_not_kept(size: int, given: bytes | None) -> None:
    assert _split(b"x" * size + b"\r\nb\n") == [Line(1, given), Line(2, b"b")]


def test_a_long_line_in_many_pieces_takes_no_memory() -> None:
    splitter = LineSplitter(20)
    for _ in range(1000):
        assert not list(splitter.feed(b"x" * 10))
    assert sum(map(len, splitter._pieces)) <= 21
    assert list(splitter.end()) == [Line(1, None)]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=10))
def test_it_does_not_matter_where_pieces_end(content: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(content)]
    pieces = [content[start:end] for start, end in pairwise(places)]
    assert _split(*pieces) == _split(content)
