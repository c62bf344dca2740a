import pytest

from dispatcher.delivery.courtesy import OTHERS_SECONDS, SHORTEST_PAUSE
from dispatcher.matching.slices import LONGEST_PAUSE, SLICE_SECONDS, Slices

NOW = 100.0


def pauses(slices: Slices, share: float, *, after: float = 0.0) -> list[float]:
    """Of slices that follow each other, in which the thread has this share of a processor."""
    found, now, processor = [], NOW + after, 0.0
    for _ in range(60):
        slices.begin(now, processor)
        now += SLICE_SECONDS
        processor += share * SLICE_SECONDS
        slices.matched_much("flooded", now)
        found.append(slices.pause(now, processor))
        now += found[-1]
    return found


@pytest.fixture
def among_others() -> Slices:
    slices = Slices()
    slices.matched_little("quiet", NOW)
    return slices


def test_a_slice_is_over_in_time() -> None:
    slices = Slices()
    slices.begin(NOW, 0.0)
    assert not slices.over(NOW + SLICE_SECONDS / 2)
    assert slices.over(NOW + SLICE_SECONDS)


def test_whoever_is_alone_has_the_processor() -> None:
    assert set(pauses(Slices(), share=0.1)) == {0.0}


def test_a_flood_yields_to_who_wants_the_processor(among_others: Slices) -> None:
    found = pauses(among_others, share=0.5)
    assert found == sorted(found)
    assert found[-1] == pytest.approx(LONGEST_PAUSE)


def test_it_goes_on_where_nobody_wants_the_processor(among_others: Slices) -> None:
    assert max(pauses(among_others, share=1.0)) == pytest.approx(SHORTEST_PAUSE)


def test_who_had_something_once_is_not_around_for_ever(among_others: Slices) -> None:
    assert set(pauses(among_others, share=0.1, after=OTHERS_SECONDS)) == {0.0}


def test_without_a_flood_nothing_yields(among_others: Slices) -> None:
    among_others.begin(NOW, 0.0)
    assert among_others.pause(NOW + SLICE_SECONDS, 0.0) == 0.0


def test_who_has_much_is_no_other_to_itself() -> None:
    slices = Slices()
    slices.matched_little("flooded", NOW)
    assert set(pauses(slices, share=0.1)) == {0.0}
