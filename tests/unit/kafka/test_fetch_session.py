from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.kafka.fetch_session import FetchSession, Step

_SESSION_NOT_FOUND, _INVALID_EPOCH = 70, 71

partitions = st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 2))
wanted = st.dictionaries(partitions, st.tuples(st.integers(0, 3), st.just(10)), min_size=1)
fates = st.sampled_from(["answered", "answered", "answered", "lost on the way", "answer lost", "evicted", "no room"])


class Broker:
    """Sessions as KIP-227 describes them."""

    def __init__(self) -> None:
        self.sessions: dict[int, tuple[int, dict[Any, Any]]] = {}
        self.next_id = 1

    def answer(self, step: Step, *, room: bool) -> tuple[int, int, dict[Any, Any]]:
        """An error, the session's id, and the partitions that it looks at."""
        if step.epoch == 0:
            self.sessions.pop(step.id, None)
            if not room:
                return 0, 0, dict(step.changed)
            self.next_id += 1
            self.sessions[self.next_id] = 1, dict(step.changed)
            return 0, self.next_id, dict(step.changed)
        if step.id not in self.sessions:
            return _SESSION_NOT_FOUND, 0, {}
        epoch, known = self.sessions[step.id]
        if epoch != step.epoch:
            return _INVALID_EPOCH, 0, {}
        known = {partition: at for partition, at in known.items() if partition not in step.forgotten}
        known |= step.changed
        self.sessions[step.id] = epoch + 1, known
        return 0, step.id, known


@given(st.lists(st.tuples(wanted, fates), max_size=30))
def test_a_broker_looks_at_what_is_wanted_whatever_happens_on_the_way(requests: list[tuple[Any, str]]) -> None:
    broker, session = Broker(), FetchSession()
    in_doubt, never_heard_of = False, 0
    for now_wanted, fate in requests:
        step = session.ask(now_wanted)
        if fate == "lost on the way":
            in_doubt = True
            continue
        if fate == "evicted":
            broker.sessions.clear()
        error, id, looked_at = broker.answer(step, room=fate != "no room")
        if fate == "answer lost":
            in_doubt = True
            never_heard_of += step.epoch == 0
            continue
        session.answered(error, id, looked_at)
        if error:
            assert fate == "evicted"
            continue
        assert looked_at == now_wanted
        assert len(broker.sessions) <= 1 + never_heard_of
        if in_doubt:
            assert step.epoch == 0
        in_doubt = False


def test_only_what_has_changed_is_named() -> None:
    session = FetchSession()
    wanted = {("a", 0): (5, 10), ("a", 1): (5, 10), ("b", 0): (5, 10)}
    assert session.ask(wanted) == Step(0, 0, wanted, frozenset())
    session.answered(0, 42, wanted)
    second = session.ask({("a", 0): (6, 10), ("a", 1): (5, 10)})
    assert second == Step(42, 1, {("a", 0): (6, 10)}, frozenset({("b", 0)}))
    session.answered(0, 42, [])
    assert session.ask({("a", 0): (6, 10), ("a", 1): (5, 10)}) == Step(42, 2, {}, frozenset())


def test_what_a_broker_left_out_is_asked_for_again() -> None:
    session = FetchSession()
    wanted = {("a", 0): (5, 10), ("a", 1): (5, 10)}
    session.ask(wanted)
    session.answered(0, 42, [("a", 1)])
    assert session.ask(wanted) == Step(42, 1, {("a", 0): (5, 10)}, frozenset())


def test_a_session_with_something_in_it_that_nobody_wants_is_begun_again() -> None:
    session = FetchSession()
    wanted = {("a", 0): (5, 10)}
    for named in ([("a", 0)], [("a", 0), ("a", 1)]):
        session.ask(wanted)
        session.answered(0, 42, named)
    assert session.ask(wanted) == Step(42, 0, wanted, frozenset())
