from dispatcher.delivery.courtesy import LONGEST_PAUSE, ROUND_SECONDS, SHORTEST_PAUSE, Courtesy


def test_long_rounds_make_pauses_long_and_short_ones_make_them_short_again() -> None:
    courtesy, now = Courtesy(), 100.0
    assert courtesy.wait(now) == 0.0
    for _ in range(20):
        courtesy.begun(now, 2 * ROUND_SECONDS)
        now += courtesy.wait(now)
    courtesy.begun(now, 2 * ROUND_SECONDS)
    assert courtesy.wait(now) - LONGEST_PAUSE < 1e-9
    assert courtesy.wait(now + LONGEST_PAUSE) == 0.0
    for _ in range(40):
        courtesy.begun(now, ROUND_SECONDS / 2)
    assert abs(courtesy.wait(now) - SHORTEST_PAUSE) < 1e-9
