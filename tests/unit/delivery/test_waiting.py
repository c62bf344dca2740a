from hypothesis import given
from hypothesis import strategies as st

from dispatcher.delivery.waiting import WaitingRecords


@given(st.lists(st.integers(0, 1_000), max_size=30).map(sorted), st.lists(st.integers(0, 400), max_size=20))
def test_each_record_is_taken_once_in_order_and_never_early(stamps: list[int], steps: list[int]) -> None:
    waiting: WaitingRecords[int] = WaitingRecords(delay=500)
    for number, stamp in enumerate(stamps):
        waiting.add(stamp, number)
    now, taken = 0, []
    for step in [*steps, 2_000]:
        now += step
        for due, number in waiting.take_due(now):
            assert due == stamps[number] + 500 <= now
            taken.append(number)
        assert waiting.next_due is None or waiting.next_due > now
    assert taken == list(range(len(stamps)))
    assert not waiting
