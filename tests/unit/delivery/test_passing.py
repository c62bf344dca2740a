from dispatcher.delivery.passing import AT_ONCE, BLOCKED_SECONDS, Passing


def test_some_pass_after_a_while_and_then_it_is_as_before() -> None:
    passing: Passing[str] = Passing()
    assert not passing.may_pass("a", 0.0)
    assert not passing.may_pass("a", BLOCKED_SECONDS / 2)
    assert not passing.may_pass("b", BLOCKED_SECONDS), "it has only just been found blocked"
    assert [passing.may_pass("a", BLOCKED_SECONDS) for _ in range(AT_ONCE + 1)] == [True] * AT_ONCE + [False]
    assert not passing.due("a", BLOCKED_SECONDS + 0.1)
    assert not passing.may_pass("a", BLOCKED_SECONDS + 0.1)
    assert passing.due("a", 2 * BLOCKED_SECONDS + 0.1)
    assert passing.may_pass("a", 2 * BLOCKED_SECONDS + 0.1)
