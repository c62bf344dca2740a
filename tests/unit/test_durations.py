from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.durations import format_duration, milliseconds_of, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", timedelta()),
        ("500ms", timedelta(milliseconds=500)),
        ("15s", timedelta(seconds=15)),
        ("5m", timedelta(minutes=5)),
        ("2h", timedelta(hours=2)),
        ("28d", timedelta(days=28)),
        ("36500d", timedelta(days=36500)),
        (" 15s ", timedelta(seconds=15)),
        ("0" * 30 + "15s", timedelta(seconds=15)),
    ],
)
def test_reads_a_number_and_a_unit(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "15", "s", "1.5s", "-1s", "15 s", "15S", "1w", "٣s"])
def test_refuses_anything_else_and_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="such as 15s"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["36501d", "999999999d", f"{10**12}d", "1" * 5_000 + "ms"])
def test_refuses_what_nobody_lives_to_see(text: str) -> None:
    with pytest.raises(ValueError, match="longer than 36500d"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration
    assert milliseconds_of(duration) == milliseconds


@pytest.mark.parametrize(("text", "expected"), [("60s", "1m"), ("90s", "90s"), ("24h", "1d"), ("0h", "0s")])
def test_writes_the_largest_unit_that_keeps_it_whole(text: str, expected: str) -> None:
    assert format_duration(parse_duration(text)) == expected
