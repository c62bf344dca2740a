"""How often and how much at once."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.portal.api.problems import Problem
from dispatcher.portal.api.rate_limits import AtOnce, Policy, RateLimits, headers_of, too_often

FIVE_A_SECOND = Policy("default", quota=10, seconds=2)
TWO = Policy("test", quota=2, seconds=60)


class Clock:
    """Seconds that a test lets pass."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_quota_is_spent_and_comes_back() -> None:
    clock = Clock()
    limits = RateLimits(clock)
    standings = [limits.take(FIVE_A_SECOND, "ada") for _ in range(11)]
    assert [one.remaining for one in standings] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]
    assert [one.wait > 0 for one in standings] == [False] * 10 + [True]
    assert standings[-1].wait == pytest.approx(0.2)
    assert limits.take(FIVE_A_SECOND, "grace").wait == 0
    assert limits.take(TWO, "ada").wait == 0
    clock.now += 0.2
    assert limits.take(FIVE_A_SECOND, "ada").wait == 0
    assert limits.take(FIVE_A_SECOND, "ada").wait > 0
    clock.now += 2
    assert limits.take(FIVE_A_SECOND, "ada").remaining == 9


def test_tells_what_is_left() -> None:
    limits = RateLimits(Clock())
    standings = [limits.take(FIVE_A_SECOND, "ada"), limits.take(TWO, "ada")]
    assert headers_of(standings) == {
        "RateLimit-Policy": '"default";q=10;w=2, "test";q=2;w=60',
        "RateLimit": '"default";r=9;t=1, "test";r=1;t=30',
    }
    assert headers_of([]) == {}
    limits.take(TWO, "ada")
    problem = too_often(limits.take(TWO, "ada"))
    assert (problem.status, problem.headers) == (429, {"Retry-After": "30"})


def test_forgets_those_who_are_gone() -> None:
    clock = Clock()
    limits = RateLimits(clock)
    for number in range(1_000):
        limits.take(FIVE_A_SECOND, number)
        clock.now += 0.01
    assert len(limits._spent) < 210


@given(st.lists(st.floats(min_value=0, max_value=3), max_size=80))
def test_never_allows_more_than_the_policy(pauses: list[float]) -> None:
    clock = Clock()
    limits = RateLimits(clock)
    allowed = []
    for pause in pauses:
        clock.now += pause
        if limits.take(FIVE_A_SECOND, "ada").wait == 0:
            allowed.append(clock.now)
    for start, first in enumerate(allowed):
        for count, last in enumerate(allowed[start:], 1):
            assert count <= 10 + math.floor((last - first) * 5 + 0.001)


def test_so_many_at_once() -> None:
    tests = AtOnce("tests of this organization", 2)
    with tests.one("org-a"), tests.one("org-b"), tests.one("org-a"):
        with pytest.raises(Problem, match="2 tests of this organization") as caught, tests.one("org-a"):
            pass
        assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "1"})
    with tests.one("org-a"):
        pass
    assert not tests._going_on
