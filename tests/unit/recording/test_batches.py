from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.delivery.outcome import IN_PROGRESS
from dispatcher.recording.backoff import Backoff
from dispatcher.recording.batches import BatchPolicy, Gathering


@dataclass(slots=True)
class Consumed:
    offset: int
    topic: str = "t"
    partition: int = 0
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = b""
    headers: Sequence[tuple[str, bytes]] = ()
    serialized_value_size: int = 0


def records(*offsets: int, size: int = 0, partition: int = 0) -> list[Consumed]:
    return [Consumed(offset, partition=partition, serialized_value_size=size) for offset in offsets]


def test_a_batch_is_due_when_its_first_record_has_waited() -> None:
    gathering = Gathering(BatchPolicy(linger=0.5))
    gathering.add(records(1), now=10)
    gathering.add(records(2), now=10.4)
    assert round(gathering.due_in(10.4), 3) == 0.1
    assert gathering.due_in(10.5) <= 0


def test_batches_follow_each_other_with_an_interval_unless_one_tells_of_an_attempt_in_progress() -> None:
    gathering = Gathering(BatchPolicy(linger=0.5, interval=2))
    gathering.add(records(1), now=10)
    assert gathering.due_in(10) == 0.5, "there was none before it"
    gathering.take(10.5)
    gathering.add(records(2), now=11)
    assert gathering.due_in(11) == 1.5
    gathering.add([Consumed(3, headers=[("v", b"1"), IN_PROGRESS])], now=11)
    assert gathering.due_in(11) == 0.5
    gathering.take(11.5)
    gathering.add(records(4), now=20)
    assert gathering.due_in(20) == 0.5


def test_a_batch_is_due_when_it_is_large_or_long() -> None:
    long = Gathering(BatchPolicy(linger=60, records=2))
    long.add(records(1, 2), now=0)
    large = Gathering(BatchPolicy(linger=60, size=1000))
    large.add(records(1, size=1000), now=0)
    assert long.due_in(0) <= 0
    assert large.due_in(0) <= 0


def test_room_is_bounded_and_comes_back() -> None:
    gathering = Gathering(BatchPolicy(size=1000, room=3000))
    gathering.add(records(*range(5), size=800), now=0)
    assert gathering.full
    while not gathering.is_empty():
        assert len(gathering.take(0).records) == 1
    assert not gathering.full


def test_a_record_larger_than_a_batch_is_a_batch() -> None:
    gathering = Gathering(BatchPolicy(size=10))
    gathering.add(records(7, size=500), now=0)
    assert gathering.take(0).committable == {("t", 0): 8}


def test_an_epoch_ends_with_what_waited() -> None:
    gathering = Gathering(BatchPolicy())
    gathering.add(records(1, 2), now=0)
    batch = gathering.take(0)
    gathering.add(records(3), now=0)
    gathering.forget()
    assert gathering.is_empty()
    assert batch.epoch != gathering.epoch


@given(sizes=st.lists(st.integers(0, 3000)), limit=st.integers(1, 20))
def test_batches_hold_every_record_once_and_in_order(sizes: list[int], limit: int) -> None:
    gathering = Gathering(BatchPolicy(records=limit, size=5000))
    added = [Consumed(n, serialized_value_size=size) for n, size in enumerate(sizes)]
    gathering.add(added, now=0)
    taken: list[object] = []
    while not gathering.is_empty():
        batch = gathering.take(0)
        assert 1 <= len(batch.records) <= limit
        assert batch.committable == {("t", 0): batch.records[-1].offset + 1}
        taken += batch.records
    assert taken == added


def test_waits_double_up_to_the_longest_with_jitter() -> None:
    least, most = Backoff(lambda: 0.0), Backoff(lambda: 1.0)
    assert [most.after(n) for n in (1, 2, 3)] == [0.2, 0.4, 0.8]
    assert least.after(3) == 0.4
    assert most.after(1000) == 10
