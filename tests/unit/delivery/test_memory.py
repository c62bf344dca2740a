from hypothesis import given
from hypothesis import strategies as st

from dispatcher.delivery.memory import RecentAttempts, attempt_key
from dispatcher.delivery.work import Partition

MINUTE = 60_000

_PAUSES = st.one_of(st.integers(0, MINUTE), st.integers(9 * MINUTE, 13 * MINUTE))


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["add", "ask"]), _PAUSES),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 20 * MINUTE),
)
def test_ten_minutes_are_remembered_and_eleven_are_not_whenever_it_is_asked(
    steps: list[tuple[int, str, int]], behind: int
) -> None:
    """Also about what waited before it was looked at: for so long only what is remembered at all is known."""
    memory, now, latest = RecentAttempts(), 0, dict[int, int]()
    for key, step, pause in steps:
        now += pause
        if step == "add":
            memory.add(key, now)
            latest[key] = now
            continue
        for at in (now, now - behind):
            if key not in latest or at - latest[key] >= 11 * MINUTE:
                assert not memory.has(key, at)
            elif now - latest[key] <= 10 * MINUTE:
                assert memory.has(key, at)


@given(st.lists(_PAUSES, min_size=1, max_size=40), st.integers(0, 60 * MINUTE), st.lists(_PAUSES, max_size=40))
def test_what_was_made_before_nobody_was_there_is_kept_for_those_who_come_back(
    before: list[int], idle: int, after: list[int]
) -> None:
    memory, now, made = RecentAttempts(), 0, dict[int, int]()
    for key, pause in enumerate(before):
        now += pause
        memory.add(key, now, now + idle)
        made[key] = now
    stopped, back = now, now + idle
    now = back
    for key, pause in enumerate(after, len(before)):
        now += pause
        memory.add(key, now)
        made[key] = now
    for key, at in made.items():
        if at <= stopped and stopped - at + now - back <= 10 * MINUTE:
            assert memory.has(key, at + 10 * MINUTE)
        assert not memory.has(key, at + 11 * MINUTE)


def test_what_is_discarded_is_forgotten() -> None:
    memory = RecentAttempts()
    for now in (0, 2 * MINUTE):
        memory.add(1, now)
        memory.add(2, now)
    memory.discard(1)
    memory.discard(3)
    assert (memory.has(1, 2 * MINUTE), memory.has(2, 2 * MINUTE)) == (False, True)


def test_nothing_else_has_to_happen_in_a_partition_for_an_attempt_to_be_forgotten() -> None:
    partition = Partition()
    partition.made.add(1, 0)
    partition.parked_lately.add(2, 0)
    for key in (1, 2):
        assert partition.is_dealt_with(key, "webhooks.deliveries", 7, 10 * MINUTE, parked=False)
        assert not partition.is_dealt_with(key, "webhooks.deliveries", 7, 11 * MINUTE, parked=False)


def test_attempts_are_told_apart() -> None:
    keys = {attempt_key(message, run, attempt) for message in ("a", "b") for run in (1, 2) for attempt in (1, 2, 12)}
    assert len(keys) == 12
