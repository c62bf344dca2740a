from dispatcher.delivery.rounds import AT_ONCE, SECONDS, WHILE_BEHIND, Rounds


def test_long_rounds_make_the_next_ones_short() -> None:
    rounds, now, begun = Rounds(), 0.0, []
    for _ in range(8):
        now += 10 * SECONDS
        begun.append(rounds.begin(now, behind=False))
    assert begun == [AT_ONCE // 2, AT_ONCE // 4, AT_ONCE // 8, 1, 1, 1, 1, 1]
    for _ in range(2 * AT_ONCE):
        now += SECONDS / 2
        begun.append(rounds.begin(now, behind=False))
    assert begun[-1] == AT_ONCE


def test_reading_goes_first_while_it_is_behind() -> None:
    rounds = Rounds()
    assert [rounds.begin(number * SECONDS / 2, behind=True) for number in range(1, 30)] == [WHILE_BEHIND] * 29
    assert rounds.begin(15 * SECONDS, behind=False) == AT_ONCE
