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
