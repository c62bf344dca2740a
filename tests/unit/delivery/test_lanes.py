from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.delivery.lanes import Lanes, Limits


@dataclass(frozen=True)
class Work:
    webhook_id: str
    number: int = 0
    size: int = 1


LIMITS = Limits(executing=6, executing_per_webhook=3, waiting_per_webhook=4, waiting=10, waiting_bytes=100)


@given(st.lists(st.sampled_from(["add a", "add b", "add c", "end"]), max_size=200), st.randoms())
def test_limits_hold_and_nothing_is_lost_whatever_comes_and_ends(steps: list[str], random: object) -> None:
    lanes: Lanes[Work] = Lanes(LIMITS)
    executing: list[Work] = []
    waiting: list[Work] = []
    for number, step in enumerate(steps):
        if step == "end":
            if executing:
                lanes.ended(executing.pop(random.randrange(len(executing))).webhook_id)  # type: ignore[attr-defined]
        else:
            work = Work(step[-1], number)
            if lanes.full or not lanes.has_room(work.webhook_id):
                assert sum(w.webhook_id == work.webhook_id for w in waiting) >= 4 or len(waiting) >= 10
                continue
            lanes.add(work)
            waiting.append(work)
        for taken in lanes.take():
            assert taken == next(w for w in waiting if w.webhook_id == taken.webhook_id)
            waiting.remove(taken)
            executing.append(taken)
        per_webhook = [sum(w.webhook_id == name for w in executing) for name in "abc"]
        assert max(per_webhook) <= 3
        assert len(executing) == lanes.executing <= 6
        # Nobody waits who could be executing.
        for name, count in zip("abc", per_webhook, strict=True):
            assert not any(w.webhook_id == name for w in waiting) or count == 3 or len(executing) == 6
    assert sorted(w.number for w in lanes.drop_waiting()) == sorted(w.number for w in waiting)
    assert list(lanes.take()) == []


def test_lanes_take_turns() -> None:
    lanes: Lanes[Work] = Lanes(Limits(executing=4, executing_per_webhook=100))
    for number in range(50):
        lanes.add(Work("busy", number))
    lanes.add(Work("quiet"))
    assert [work.webhook_id for work in lanes.take()] == ["busy", "quiet", "busy", "busy"]
