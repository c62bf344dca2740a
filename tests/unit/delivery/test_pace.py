import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.delivery.pace import BURST, PER_SECOND, Pace


def test_a_little_is_never_much() -> None:
    pace = Pace()
    assert not any(pace.exceeded("wh", number / PER_SECOND) for number in range(1_000))


def test_a_flood_is_much_after_its_beginning_until_it_is_over() -> None:
    pace = Pace()
    assert [pace.exceeded("wh", 0.0) for _ in range(BURST + 3)] == [False] * BURST + [True] * 3
    assert not pace.exceeded("another", 0.0)
    assert not pace.exceeded("wh", 1 / PER_SECOND)
    assert pace.exceeded("wh", 1 / PER_SECOND)
    full_again = BURST / PER_SECOND
    assert not any(pace.exceeded("wh", full_again + 1) for _ in range(BURST))


def test_what_was_used_up_comes_back_in_time() -> None:
    pace = Pace()
    assert pace.used("wh", 0.0) == 0.0
    for _ in range(BURST // 2):
        pace.exceeded("wh", 0.0)
    assert pace.used("wh", 0.0) == pytest.approx(0.5)
    for _ in range(BURST):
        pace.exceeded("wh", 0.0)
    assert pace.used("wh", 0.0) == pytest.approx(1.0)
    assert pace.used("wh", 2 * BURST / PER_SECOND) == 0.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 5)), max_size=400))
def test_nobody_gets_more_than_the_burst_and_the_rate(steps: list[tuple[str, float]]) -> None:
    pace, now = Pace(), 0.0
    let_through: dict[str, list[float]] = {"a": [], "b": [], "c": []}
    for webhook, later in steps:
        now += later / 100
        if not pace.exceeded(webhook, now):
            let_through[webhook].append(now)
    for times in let_through.values():
        for first, start in enumerate(times):
            for last, end in enumerate(times[first:], first):
                assert last - first + 1 <= BURST + (end - start) * PER_SECOND + 1e-6
