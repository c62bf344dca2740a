"""What is left of a span of time."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.recording.recoverable import Span

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)


def span(since: int, until: int) -> Span:
    return Span(MIDNIGHT + timedelta(hours=since), MIDNIGHT + timedelta(hours=until))


def test_leaves_what_is_in_no_other() -> None:
    assert span(2, 8).without([]) == [span(2, 8)]
    assert span(2, 8).without([span(0, 3), span(7, 9)]) == [span(3, 7)]
    assert span(2, 8).without([span(4, 5), span(4, 6)]) == [span(2, 4), span(6, 8)]
    assert span(2, 8).without([span(0, 9)]) == []
    assert span(2, 8).without([span(8, 9), span(0, 2)]) == [span(2, 8)]
    assert span(8, 2).without([]) == []


@given(
    st.tuples(st.integers(0, 20), st.integers(0, 20)),
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), max_size=6),
)
def test_every_hour_is_in_one_or_the_other(whole: tuple[int, int], others: list[tuple[int, int]]) -> None:
    taken = [span(since, since + hours) for since, hours in others]
    left = span(*whole).without(taken)
    for hour in range(30):
        moment = MIDNIGHT + timedelta(hours=hour)
        wanted = whole[0] <= hour < whole[1] and not any(one.since <= moment < one.until for one in taken)
        assert sum(one.since <= moment < one.until for one in left) == wanted
