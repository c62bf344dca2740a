from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.delivery.schedule import Retry, RetrySchedule
from dispatcher.durations import parse_duration

DOCUMENTED = RetrySchedule(tuple(map(parse_duration, ["0s", "5s", "5m", "30m", "2h", "5h", "10h", "10h"])))

schedules = st.lists(st.timedeltas(timedelta(seconds=1), timedelta(days=2)), max_size=10).map(
    lambda delays: RetrySchedule((timedelta(), *delays))
)


def test_the_documented_schedule_is_eight_attempts_by_six_delay_topics() -> None:
    assert DOCUMENTED.attempts == 8
    assert [wait.total_seconds() for wait in DOCUMENTED.waits] == [5, 300, 1800, 7200, 18000, 36000]
    waits = []
    attempt = 1
    while (retry := DOCUMENTED.after_failure(attempt)) is not None:
        waits.append(retry.delay)
        attempt = retry.attempt
    assert tuple(waits) == DOCUMENTED.delays[1:]
    assert attempt == 8


@given(schedules, st.integers(1, 12), st.none() | st.timedeltas(timedelta(), timedelta(days=5)))
def test_a_wish_to_wait_never_shortens_and_keeps_the_place(
    schedule: RetrySchedule, attempt: int, wish: timedelta | None
) -> None:
    retry = schedule.after_failure(attempt, wish)
    if attempt >= schedule.attempts:
        assert retry is None
        return
    assert retry is not None
    assert retry.attempt == attempt + 1
    assert retry.delay in schedule.waits
    assert retry.delay >= schedule.delays[attempt]
    if wish is None or wish <= schedule.delays[attempt]:
        assert retry.delay == schedule.delays[attempt]
    else:
        assert retry.delay >= min(wish, schedule.waits[-1])


def test_a_wish_is_rounded_up_to_a_delay_topic() -> None:
    assert DOCUMENTED.after_failure(1, timedelta(seconds=6)) == Retry(2, timedelta(minutes=5))
    assert DOCUMENTED.after_failure(2, timedelta(seconds=6)) == Retry(3, timedelta(minutes=5))
    assert DOCUMENTED.after_failure(1, timedelta(days=9)) == Retry(2, timedelta(hours=10))


@pytest.mark.parametrize("delays", [[], ["1s"], ["0s", "0s"], ["0s"] + ["1s"] * 255])
def test_what_is_no_schedule(delays: list[str]) -> None:
    with pytest.raises(ValueError, match=r"retry\.schedule"):
        RetrySchedule(tuple(map(parse_duration, delays)))
