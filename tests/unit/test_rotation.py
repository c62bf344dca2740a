from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.rotation import Rotation

keys = st.sampled_from("abcd")


@given(st.lists(st.one_of(keys, st.none())))
def test_who_wants_a_turn_gets_exactly_one(steps: list[str | None]) -> None:
    rotation: Rotation[str] = Rotation()
    wanting: set[str] = set()
    for step in steps:
        if step is None:
            taken = rotation.take()
            assert (taken in wanting) if wanting else taken is None
            wanting -= {taken}
        else:
            rotation.want(step)
            wanting.add(step)
    assert {rotation.take() for _ in wanting} == wanting
    assert rotation.take() is None


def test_a_newcomer_goes_before_those_who_want_much() -> None:
    rotation = in_use_by("a", "b", "c")
    before = rotation.has_newcomer
    rotation.want("new")
    there = rotation.has_newcomer
    assert rotation.take() == "new"
    assert [before, there, rotation.has_newcomer] == [False, True, False]


def test_those_who_want_much_have_equal_shares() -> None:
    rotation = in_use_by("a", "b", "c")
    turns: Counter[str | None] = Counter()
    for _ in range(30):
        turns[key := rotation.take()] += 1
        assert key is not None
        rotation.want(key)
    assert turns == {"a": 10, "b": 10, "c": 10}


def test_asking_for_one_again_and_again_gains_nothing() -> None:
    rotation = in_use_by("a", "b", "c")
    turns = []
    for _ in range(8):
        rotation.want("often")
        turns.append(key := rotation.take())
        if key is not None:
            rotation.want(key)
    assert turns == ["often", "a", "b", "c", "often", "a", "b", "c"]


def test_after_a_pause_it_is_new_again() -> None:
    rotation = in_use_by("a", "b")
    rotation.want("new")
    order = []
    for _ in range(4):
        order.append(key := rotation.take())
        if key is not None and key != "new":
            rotation.want(key)
    assert order == ["new", "a", "b", "a"]  # its place has come, and it wanted nothing
    rotation.want("new")
    assert rotation.take() == "new"


def in_use_by(*keys: str) -> Rotation[str]:
    """One in which these want more than they get."""
    rotation: Rotation[str] = Rotation()
    for key in keys:
        rotation.want(key)
    for _ in keys:
        taken = rotation.take()
        assert taken is not None
        rotation.want(taken)
    return rotation
