from hypothesis import given
from hypothesis import strategies as st

from dispatcher.delivery.memory import RecentAttempts, attempt_key

MINUTE = 60_000


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 2 * MINUTE)), min_size=1, max_size=60))
def test_ten_minutes_are_remembered_and_twelve_are_not(steps: list[tuple[int, int]]) -> None:
    memory, now, added = RecentAttempts(), 0, []
    for key, pause in steps:
        now += pause
        memory.add(key, now)
        added.append((key, now))
    for key, at in added:
        if now - at <= 10 * MINUTE:
            assert key in memory
    latest = dict(added)
    assert all(now - at <= 12 * MINUTE for key, at in latest.items() if key in memory)


def test_what_is_discarded_is_forgotten() -> None:
    memory = RecentAttempts()
    for now in (0, 2 * MINUTE):
        memory.add(1, now)
        memory.add(2, now)
    memory.discard(1)
    memory.discard(3)
    assert (1 in memory, 2 in memory) == (False, True)


def test_attempts_are_told_apart() -> None:
    keys = {attempt_key(message, run, attempt) for message in ("a", "b") for run in (1, 2) for attempt in (1, 2, 12)}
    assert len(keys) == 12
