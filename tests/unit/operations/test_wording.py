"""Durations, numbers and rates in few characters."""

import pytest

from dispatcher.operations.wording import count, counted, per_second, span


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0s"),
        (0.34, "0.3s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.6, "1m"),
        (63, "1m 3s"),
        (3_600, "1h"),
        (15_150, "4h 12m"),
        (100 * 86_400 + 7_200, "100d 2h"),
    ],
)
def test_span(seconds: float, expected: str) -> None:
    assert span(seconds) == expected


@pytest.mark.parametrize(("number", "expected"), [(0, "0"), (1_204, "1,204"), (12_345_678, "12.3M"), (10**9, "1.0G")])
def test_count(number: int, expected: str) -> None:
    assert count(number) == expected


@pytest.mark.parametrize(("rate", "expected"), [(0, "0"), (0.42, "0.4"), (12.3, "12"), (1_204.4, "1,204")])
def test_per_second(rate: float, expected: str) -> None:
    assert per_second(rate) == expected


def test_counted() -> None:
    assert counted(1, "member") == "1 member"
    assert counted(1_000, "member") == "1,000 members"
