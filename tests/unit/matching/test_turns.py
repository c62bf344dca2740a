from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.matching.turns import Turns

Entry = tuple[str, int]

entries = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 100)))


def some_turns(entries: list[Entry]) -> Turns[Entry]:
    turns: Turns[Entry] = Turns(key_of=lambda entry: entry[0], size_of=lambda entry: entry[1])
    for entry in entries:
        turns.append(entry)
    return turns


def drained(turns: Turns[Entry]) -> list[Entry]:
    return [turns.popleft() for _ in range(len(turns))]


@given(entries)
def test_each_key_keeps_its_order_and_nothing_is_lost(given_entries: list[Entry]) -> None:
    by_key = defaultdict(list)
    for entry in drained(some_turns(given_entries)):
        by_key[entry[0]].append(entry)
    assert by_key == {key: [e for e in given_entries if e[0] == key] for key in {e[0] for e in given_entries}}


@given(entries, st.tuples(st.just("new"), st.integers(0, 100)))
def test_a_newcomer_waits_for_one_of_each_other_at_most(given_entries: list[Entry], newcomer: Entry) -> None:
    turns = some_turns(given_entries)
    turns.append(newcomer)
    assert drained(turns).index(newcomer) <= len({key for key, _ in given_entries})


@given(entries)
def test_its_size_is_that_of_its_entries(given_entries: list[Entry]) -> None:
    turns = some_turns(given_entries)
    left = list(given_entries)
    assert (len(turns), turns.bytes) == (len(left), sum(size for _, size in left))
    while left:
        left.remove(turns.popleft())
        assert (len(turns), turns.bytes) == (len(left), sum(size for _, size in left))


def test_when_it_is_empty() -> None:
    turns = some_turns([("a", 1), ("b", 2)])
    turns.clear()
    assert (len(turns), turns.bytes) == (0, 0)
    with pytest.raises(IndexError):
        turns.popleft()
