from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.delivery.admission import (
    LONGEST_PAUSE_OF_FAILING,
    LONGEST_PAUSE_OF_MUCH,
    LONGEST_PAUSE_OF_SLOW,
    Admission,
)
from dispatcher.delivery.courtesy import OTHERS_SECONDS
from dispatcher.delivery.lanes import Lanes, Limits

KINDS = ("slow", "much", "failing")
PLENTY = 100


@dataclass(eq=False)
class Work:
    webhook_id: str
    size: int = 1
    of_much: bool = False


class Waiting:
    """An admission with plenty of each kind that yields, and a clock."""

    def __init__(self) -> None:
        self.lanes: Lanes[Work] = Lanes(Limits(executing=PLENTY, executing_at_first=20, executing_if_failing=20))
        self.admission = Admission(self.lanes)
        self.now = 100.0
        for kind, seconds in (("slow", 2.0), ("failing", 0.01)):
            self.add(kind, 20)
            for work in list(self.lanes.take(self.now)):
                self.lanes.ended(work, self.now + seconds, success=kind == "slow")
        self.now += OTHERS_SECONDS + 1
        for kind in KINDS:
            self.add(kind, PLENTY)

    def add(self, kind: str, count: int) -> None:
        for _ in range(count):
            self.lanes.add(Work(kind, of_much=kind == "much"))

    def admit(self, room: int, *, strained: bool = False) -> Counter[str]:
        """A round, of which everything has ended at once as it always does."""
        admitted = list(self.admission.admit(self.now, room, strained=strained))
        for work in admitted:
            seconds = 2.0 if work.webhook_id == "slow" else 0.01
            self.lanes.ended(work, self.now + seconds, success=work.webhook_id != "failing")
        return Counter(work.webhook_id for work in admitted)


@given(st.integers(1, 50))
def test_alone_they_fill_a_round_and_none_goes_without(room: int) -> None:
    admitted = Waiting().admit(room)
    assert set(admitted) == set(KINDS)
    assert room <= sum(admitted.values()) <= room + 2


def test_others_go_first_and_then_each_has_one_in_a_round() -> None:
    waiting = Waiting()
    waiting.add("quiet", 3)
    admitted = waiting.admit(16)
    assert admitted == {"quiet": 3, "slow": 1, "much": 1, "failing": 1}
    assert next(iter(admitted)) == "quiet"


def test_while_others_are_around_each_waits_for_its_next_turn() -> None:
    waiting = Waiting()
    waiting.add("quiet", 1)
    for _ in range(30):
        waiting.admit(16, strained=True)
        waiting.now += LONGEST_PAUSE_OF_FAILING + 0.001
    waiting.admit(16, strained=True)
    began = waiting.now
    turns: dict[str, float] = {}
    assert waiting.admit(16) == {}
    while len(turns) < len(KINDS):
        waiting.now += waiting.admission.next_in(waiting.now) or 0.0
        for kind in waiting.admit(16, strained=True):
            turns.setdefault(kind, waiting.now - began)
    assert turns == {
        "much": pytest.approx(LONGEST_PAUSE_OF_MUCH),
        "slow": pytest.approx(LONGEST_PAUSE_OF_SLOW),
        "failing": pytest.approx(LONGEST_PAUSE_OF_FAILING),
    }
    waiting.now += OTHERS_SECONDS + 1
    assert waiting.admission.next_in(waiting.now) is None
    assert sum(waiting.admit(16).values()) >= 16


def test_a_rate_limit_tells_when_to_look_again() -> None:
    lanes: Lanes[Work] = Lanes(Limits(), lambda _: 10.0)
    admission = Admission(lanes)
    for _ in range(2):
        lanes.add(Work("limited"))
    assert len(list(admission.admit(100.0, 16, strained=False))) == 1
    assert admission.next_in(100.0) == pytest.approx(0.1)


def test_however_many_others_there_are_each_has_a_share_of_the_places() -> None:
    lanes: Lanes[Work] = Lanes(Limits(executing=40, executing_at_first=10))
    admission = Admission(lanes)
    for work in [Work("slow"), *(Work("failing") for _ in range(10))]:
        lanes.add(work)
    for work in list(lanes.take(0.0)):
        lanes.ended(work, 2.0 if work.webhook_id == "slow" else 0.01, success=work.webhook_id == "slow")
    for kind in KINDS:
        for _ in range(50):
            lanes.add(Work(kind, of_much=kind == "much"))
    for number in range(600):
        lanes.add(Work(f"quiet-{number % 6}"))
    admitted: Counter[str] = Counter()
    executing: list[tuple[float, Work]] = []
    now = 10.0
    while now < 20.0:
        for began, work in [each for each in executing if now - each[0] >= 0.5]:
            executing.remove((began, work))
            lanes.ended(work, now + 2 * (work.webhook_id == "slow"), success=work.webhook_id != "failing")
        for work in admission.admit(now, 16, strained=False):
            executing.append((now, work))
            admitted[work.webhook_id.split("-")[0]] += 1
        now += 0.01
    assert all(admitted[kind] >= 10 for kind in KINDS), admitted
    assert admitted["quiet"] >= 500


def test_where_nothing_is_said_to_begin_later_nothing_would() -> None:
    waiting = Waiting()
    for step in range(2_000):
        waiting.now += 0.0005
        if step % 50 == 0:
            waiting.lanes.look(waiting.now)
            waiting.add("quiet", 1)
        while waiting.admit(16, strained=step % 7 == 0):
            pass
        if waiting.admission.next_in(waiting.now) is None:
            assert waiting.admit(16) == {}
