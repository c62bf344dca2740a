import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.webhooks.failing import (
    HOUR,
    LEAST_ATTEMPTS,
    PARTS,
    PARTS_WITH_FAILURES,
    FailingPolicy,
    HourOfAttempts,
)

NOW = datetime(2026, 11, 23, 10, 15, 4, 120_000, tzinfo=UTC)
FIVE_DAYS = FailingPolicy(timedelta(days=5), 0.99)


def hours(ago: Iterable[int], failed: int = 1, successful: int = 0) -> list[HourOfAttempts]:
    """Hours that began so long ago, the hour of now being 0, with as many attempts each."""
    this_hour = NOW.replace(minute=0, second=0, microsecond=0)
    return [HourOfAttempts(this_hour - n * HOUR, successful, failed, f"{n} h ago") for n in ago]


def test_failures_all_over_the_window_speak_against_a_webhook() -> None:
    failing = FIVE_DAYS.judge(hours(range(120), failed=10) + hours([119], failed=4), NOW)
    assert failing is not None
    assert (failing.failed, failing.attempts) == (1_204, 1_204)
    assert failing.reason == "disabled: 1,204 of 1,204 attempts failed in the last 5 days; the last error: 0 h ago"


@pytest.mark.parametrize(
    ("window", "words"),
    [("1d", "24 hours"), ("36h", "36 hours"), ("2d", "2 days"), ("27d", "27 days")],
)
def test_says_how_long(window: str, words: str) -> None:
    length = timedelta(days=int(window[:-1])) if window.endswith("d") else timedelta(hours=int(window[:-1]))
    policy = FailingPolicy(length, 1)
    failing = policy.judge(hours(range(length // HOUR)), NOW)
    assert failing is not None
    assert f" in the last {words}; " in failing.reason


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(hours(range(24), failed=1_000), id="a day of an outage"),
        pytest.param(hours([100], failed=10_000), id="one burst"),
        pytest.param(hours([29, 28, 26, 21, 11, 1], failed=4), id="a few messages that failed for good"),
        pytest.param(hours(range(0, 120, 7)), id="too few attempts to say"),
        pytest.param(hours(range(30, 120), failed=100), id="nothing was tried lately"),
        pytest.param(hours(range(120), failed=100) + hours([3], 0, 1), id="it has just begun to work again"),
        pytest.param(hours(range(120), failed=95) + hours(range(24, 120), 0, 5), id="it works now and then"),
        pytest.param(hours(range(120, 400), failed=100), id="all of it was before the window"),
        pytest.param([], id="nothing is known"),
    ],
)
def test_there_is_hope(history: list[HourOfAttempts]) -> None:
    assert FIVE_DAYS.judge(history, NOW) is None


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(hours(n for n in range(120) if not 36 <= n < 60), id="a quiet day in between"),
        pytest.param(hours(range(120), failed=100) + hours([50], 0, 100), id="a success among a hundred, days ago"),
        pytest.param(hours(day * 24 + n for day in range(5) for n in (0, 1, 3, 8, 18)), id="daily"),
    ],
)
def test_there_is_none(history: list[HourOfAttempts]) -> None:
    assert FIVE_DAYS.judge(history, NOW) is not None


def test_another_rate_allows_more_successes() -> None:
    history = hours(range(120), failed=50) + hours(range(24, 120), 0, 50)
    assert FailingPolicy(timedelta(days=5), 0.5).judge(history, NOW) is not None
    assert FIVE_DAYS.judge(history, NOW) is None


def test_whoever_changed_it_gets_the_window_again() -> None:
    assert not FIVE_DAYS.is_old_enough(NOW - timedelta(days=5) + HOUR, NOW)
    assert FIVE_DAYS.is_old_enough(NOW - timedelta(days=5), NOW)


WINDOWS = st.timedeltas(timedelta(days=1), timedelta(days=27))
POLICIES = st.builds(FailingPolicy, WINDOWS, st.floats(0.01, 1))
FAILED, SUCCESSFUL = st.integers(0, 50), st.sampled_from([*[0] * 30, 1, 50])
HISTORIES = st.lists(
    st.tuples(st.integers(0, 28 * 24), FAILED, SUCCESSFUL), unique_by=lambda each: each[0], max_size=60
).map(lambda rows: [hour for ago, failed, good in rows for hour in hours([ago], failed, good)])


@given(POLICIES, st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_the_window_is_whole_hours_and_ends_with_this_one(policy: FailingPolicy, now: datetime) -> None:
    begins, lately = policy.begins(now), policy.lately(now)
    assert begins.minute == begins.second == begins.microsecond == 0
    assert now - policy.window - HOUR < begins <= now - policy.window + HOUR
    assert begins < lately <= now
    assert abs((lately - begins) / policy.window - 0.8) < 0.1


@given(POLICIES, HISTORIES, st.randoms())
def test_the_order_of_hours_does_not_matter(
    policy: FailingPolicy, history: list[HourOfAttempts], chance: random.Random
) -> None:
    shuffled = chance.sample(history, len(history))
    assert policy.judge(shuffled, NOW) == policy.judge(history, NOW)


@given(POLICIES, HISTORIES)
def test_a_verdict_has_its_grounds(policy: FailingPolicy, history: list[HourOfAttempts]) -> None:
    failing = policy.judge(history, NOW)
    if failing is None:
        return
    inside = [hour for hour in history if policy.begins(NOW) <= hour.start]
    late = [hour for hour in inside if hour.start >= policy.lately(NOW)]
    assert failing.attempts == sum(hour.failed + hour.successful for hour in inside) >= LEAST_ATTEMPTS
    assert failing.failed >= policy.rate * failing.attempts
    assert sum(hour.failed > 0 for hour in inside) >= PARTS_WITH_FAILURES
    assert any(hour.failed for hour in late)
    assert not any(hour.successful for hour in late)


@given(POLICIES, HISTORIES, st.integers(0, 28 * 24))
def test_a_success_never_speaks_against_a_webhook(
    policy: FailingPolicy, history: list[HourOfAttempts], ago: int
) -> None:
    if policy.judge(history, NOW) is None:
        assert policy.judge([*history, *hours([ago], 0, 1_000_000)], NOW) is None


@given(POLICIES)
def test_one_failure_in_each_hour_is_enough_in_any_window(policy: FailingPolicy) -> None:
    assert policy.judge(hours(range(28 * 24)), NOW) is not None


@given(POLICIES, st.integers(0, 28 * 24), st.integers(1, 6))
def test_a_burst_is_not_enough_in_any_window(policy: FailingPolicy, ago: int, length: int) -> None:
    burst = min(length, policy.window // HOUR * (PARTS_WITH_FAILURES - 2) // PARTS)
    assert policy.judge(hours(range(ago, ago + burst), failed=1_000), NOW) is None
