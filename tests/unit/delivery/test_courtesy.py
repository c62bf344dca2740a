from random import Random

import pytest

from dispatcher.delivery.courtesy import SHORTEST_PAUSE, Courtesy

LONGEST = 0.002


def test_strain_makes_pauses_long_and_its_absence_makes_them_short_again() -> None:
    courtesy, now = Courtesy(LONGEST), 100.0
    assert courtesy.wait(now) == 0.0
    for _ in range(20):
        courtesy.had_turn(now, strained=True)
        now += courtesy.wait(now)
    courtesy.had_turn(now, strained=True)
    assert courtesy.wait(now) - LONGEST < 1e-9
    assert courtesy.wait(now + LONGEST) == 0.0
    for _ in range(40):
        courtesy.had_turn(now, strained=False)
    assert abs(courtesy.wait(now) - SHORTEST_PAUSE) < 1e-9


@pytest.mark.parametrize("tolerated", [0.07, 0.2, 0.5])
def test_pauses_settle_where_as_many_turns_are_strained_as_is_tolerated(tolerated: float) -> None:
    courtesy, now, chance = Courtesy(10.0, tolerated), 100.0, Random(1)
    strained = []
    for _ in range(20_000):
        pause = courtesy.wait(now)
        now += pause
        # The longer the pause, the less a turn is felt.
        strained.append(chance.random() < SHORTEST_PAUSE / max(pause, SHORTEST_PAUSE))
        courtesy.had_turn(now, strained=strained[-1])
    assert sum(strained) / len(strained) == pytest.approx(tolerated, abs=0.01)
