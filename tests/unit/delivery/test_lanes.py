from dataclasses import dataclass
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.delivery.lanes import Lanes, Limits


@dataclass(eq=False)
class Work:
    webhook_id: str
    number: int = 0
    size: int = 1
    of_much: bool = False


def take_all(lanes: Lanes[Work], now: float) -> list[Work]:
    return [
        *lanes.take(now),
        *lanes.take_from(lanes.much_turns, now),
        *lanes.take_from(lanes.failing_turns, now),
        *lanes.take_from(lanes.slow_turns, now),
    ]


LIMITS = Limits(executing=6, executing_per_webhook=4, executing_at_first=2, waiting_bytes=20)


@given(
    st.lists(st.sampled_from(["add a", "add b", "add c", "much a", "much b", "end", "fail", "look"]), max_size=200),
    st.randoms(),
)
def test_limits_hold_and_nothing_is_lost_whatever_comes_and_ends(steps: list[str], random: Random) -> None:
    lanes: Lanes[Work] = Lanes(LIMITS)
    executing: list[Work] = []
    waiting: list[Work] = []
    now = 0.0
    for number, step in enumerate(steps):
        now += random.choice([0.0, 0.01, 0.7])
        if step.startswith(("add", "much")):
            work = Work(step[-1], number, of_much=step.startswith("much"))
            lanes.add(work)
            waiting.append(work)
        elif step == "look":
            for taken_back in [*lanes.look(now), *lanes.overflow()]:
                waiting.remove(taken_back)
            assert len(waiting) <= 20
        elif executing:
            lanes.ended(executing.pop(random.randrange(len(executing))), now, success=step == "end")
        for taken in take_all(lanes, now):
            assert taken is next(w for w in waiting if w.webhook_id == taken.webhook_id)
            waiting.remove(taken)
            executing.append(taken)
        assert len(executing) == lanes.executing <= 6
        assert max(sum(w.webhook_id == name for w in executing) for name in "abc") <= 4
        assert lanes.waiting == len(waiting)
        places = {name: lane.places - len(lane.executing) for name, lane in lanes._lanes.items()}
        assert lanes.ready_bytes == sum(
            w.size
            for w in waiting
            if places[w.webhook_id] > 0
            and not lanes._lanes[w.webhook_id].slow
            and lanes._lanes[w.webhook_id].failures < LIMITS.executing_at_first
        )
        # Whoever waits, waits for a place: half of all are there for those who are slow, all for the others.
        for name in {w.webhook_id for w in waiting}:
            assert sum(w.webhook_id == name for w in executing) >= 2 or len(executing) >= 3
    assert {w.number for w in lanes.drop_waiting()} == {w.number for w in waiting}
    assert take_all(lanes, now) == []


def test_lanes_with_much_or_nothing_but_failures_have_turns_of_their_own() -> None:
    lanes: Lanes[Work] = Lanes(Limits(executing_at_first=2))
    lanes.add(Work("flooded", of_much=True))
    lanes.add(Work("quiet"))
    failing = [Work("failing") for _ in range(2)]
    for work in failing:
        lanes.add(work)
    assert [work.webhook_id for work in lanes.take(1.0)] == ["quiet", "failing", "failing"]
    for work in failing:
        lanes.ended(work, 1.0, success=False)
    lanes.add(Work("failing"))
    assert list(lanes.take(2.0)) == []
    assert lanes.others.at == 1.0
    assert [work.webhook_id for work in lanes.take_from(lanes.much_turns, 2.0)] == ["flooded"]
    assert [work.webhook_id for work in lanes.take_from(lanes.failing_turns, 2.0)] == ["failing"]
    lanes.add(Work("flooded"))
    assert list(lanes.take(2.5)) == [], "it had much at once a moment ago"
    lanes.look(2.5)
    assert [work.webhook_id for work in lanes.take(2.5)] == ["flooded"]


def test_who_has_much_is_no_other_to_itself() -> None:
    lanes: Lanes[Work] = Lanes(Limits())
    lanes.add(Work("flooded"))
    assert len(list(lanes.take(1.0))) == 1
    assert lanes.others.at == 1.0
    lanes.add(Work("flooded", of_much=True))
    assert lanes.others.at < 0


def test_lanes_take_turns() -> None:
    lanes: Lanes[Work] = Lanes(Limits(executing=4))
    for number in range(50):
        lanes.add(Work("busy", number))
    lanes.add(Work("quiet"))
    assert [work.webhook_id for work in lanes.take(0.0)] == ["busy", "quiet", "busy", "busy"]


def test_slow_targets_together_leave_half_of_the_places_to_the_others() -> None:
    lanes: Lanes[Work] = Lanes(Limits(executing=100, executing_at_first=10))
    for target in range(30):
        for number in range(50):
            lanes.add(Work(f"hangs-{target}", number))
    hanging = list(lanes.take(0.0))
    assert len(hanging) == 95, "a twentieth is for those who yield"
    lanes.look(2.0)
    for work in hanging[:60]:
        lanes.ended(work, 2.0, success=False)
    again = list(lanes.take_from(lanes.slow_turns, 2.0))
    assert len(again) == 15  # 35 are still executing, and half of all places is the most they get
    lanes.add(Work("answers"))
    assert [work.webhook_id for work in lanes.take(2.1)] == ["answers"]


def test_places_grow_with_successes_and_shrink_with_calls_that_run_out_of_time() -> None:
    lanes: Lanes[Work] = Lanes(Limits(executing_per_webhook=40, executing_at_first=10))
    for number in range(500):
        lanes.add(Work("a", number))
    now, sizes = 0.0, []
    for _ in range(4):
        taken = list(lanes.take(now))
        now += 0.01
        for work in taken:
            lanes.ended(work, now, success=True)
        sizes.append(len(taken))
    assert sizes == [10, 20, 40, 40]
    taken = list(lanes.take(now))
    for work in taken:
        lanes.ended(work, now + 15, success=False)
    assert len(list(lanes.take_from(lanes.slow_turns, now + 15))) == 10


def test_only_what_would_wait_long_for_a_slow_target_is_sent_away() -> None:
    lanes: Lanes[Work] = Lanes(Limits(waiting_seconds=5, waiting_if_slow=10, waiting_if_fast=100))
    for number in range(10_000):
        lanes.add(Work("fast", number))
        if number < 20:
            lanes.add(Work("hangs", number))
    list(lanes.take(0.0))
    for now in (0.5, 4.0):
        lanes.look(0.5)
        assert lanes.has_room("hangs", now)
        assert lanes.has_room("fast", now)
    assert not lanes.has_room_for_parked("fast", 4.0)
    lanes.look(2.0)
    assert lanes.has_room("hangs", 4.0)  # 10 wait, 10 at a time, for 4 s so far
    assert not lanes.has_room("hangs", 6.0)
    assert not lanes.has_room_for_parked("hangs", 6.0)
    assert lanes.has_room("unheard of", 6.0)
    assert lanes.has_room_for_parked("unheard of", 6.0)


def test_what_waits_when_a_target_begins_to_hang_is_sent_away_unless_it_is_well_again_soon() -> None:
    lanes: Lanes[Work] = Lanes(Limits(waiting_seconds=5))
    for name in ("hangs", "pauses"):
        for number in range(300):
            lanes.add(Work(name, number, of_much=True))
    begun = list(lanes.take_from(lanes.much_turns, 0.0))
    assert len(begun) == 20
    assert lanes.look(1.0) == []
    assert lanes.slow == 2
    for work in begun:
        if work.webhook_id == "pauses":
            lanes.ended(work, 1.1, success=True)
    for work in list(lanes.take_from(lanes.slow_turns, 1.2)):
        if work.webhook_id == "pauses":
            lanes.ended(work, 1.3, success=True)
    assert lanes.slow == 1
    assert lanes.look(5.9) == []
    sent_away = lanes.look(6.1)
    assert {work.webhook_id for work in sent_away} == {"hangs"}
    assert sorted(work.number for work in sent_away) == list(range(20, 300))  # one for each place still waits
    assert lanes.has_room_for_parked("hangs", 6.1)  # until half of a hundred wait
    assert lanes.look(15.0) == []


def test_what_waits_is_sent_away_again_when_a_slow_target_has_fewer_places() -> None:
    lanes: Lanes[Work] = Lanes(Limits(executing_at_first=2, sent_away_at_once=5))
    executing: list[Work] = []
    for number in range(40):
        lanes.add(Work("slow", number))
    for now in (0.0, 1.5, 3.0, 4.5):  # slow from the beginning, but well
        for work in executing:
            lanes.ended(work, now, success=True)
        executing = [*lanes.take(now), *lanes.take_from(lanes.slow_turns, now)]
        assert lanes.look(now) == []
    assert (len(executing), lanes.waiting) == (16, 10)
    assert lanes.look(7.0) == []
    for work in executing:
        lanes.ended(work, 19.5, success=False)
    assert len(list(lanes.take_from(lanes.slow_turns, 19.5))) == 2
    assert lanes.look(24.0) == []
    assert [len(lanes.look(now)) for now in (24.5, 24.75, 25.0)] == [5, 1, 0]
    assert lanes.waiting == 2


def test_what_waits_for_a_limit_that_became_low_is_sent_away_until_its_turn_is_near() -> None:
    limits: dict[str, float] = {}
    lanes: Lanes[Work] = Lanes(Limits(executing_at_first=1), rate_of=limits.get)
    for number in range(10):
        lanes.add(Work("limited", number))
    (first,) = lanes.take(0.0)
    limits["limited"] = 0.1
    assert sorted(work.number for work in lanes.look(0.1)) == list(range(2, 10))
    lanes.ended(first, 0.2, success=True)
    assert [work.number for work in lanes.take(0.2)] == [1]
    assert lanes.look(0.3) == []
    assert not lanes.has_room("limited", 5.0)
    assert lanes.has_room("limited", 5.3)  # it is let through at 10.2
    lanes.add(Work("limited", 2))
    assert not lanes.has_room("limited", 10.1)
    # Of those that are parked some more, as they may come seldom.
    for number in range(3, 7):
        assert lanes.has_room_for_parked("limited", 5.3)
        lanes.add(Work("limited", number))
    assert lanes.has_room_for_parked("limited", 5.3)  # 60.2
    lanes.add(Work("limited", 7))
    assert not lanes.has_room_for_parked("limited", 5.3)


def test_a_burst_that_a_limit_lets_through_slowly_has_no_room_whenever_it_comes() -> None:
    lanes: Lanes[Work] = Lanes(Limits(), rate_of={"limited": 2.0}.get)
    let_in = 0
    while lanes.has_room("limited", 5_000.0):
        lanes.add(Work("limited"))
        let_in += 1
    assert let_in == 11  # the eleventh is let through after five seconds


def test_a_limit_that_is_no_longer_holds_back_nothing_more() -> None:
    limits = {"limited": 0.001, "less": 0.001}
    lanes: Lanes[Work] = Lanes(Limits(), rate_of=limits.get)
    for webhook_id in limits:
        for number in range(2):
            lanes.add(Work(webhook_id, number))
    assert len(list(lanes.take(0.0))) == 2
    assert list(lanes.take(0.1)) == []
    limits["less"] = 0.5
    del limits["limited"]
    lanes.look(0.2)
    assert [work.webhook_id for work in lanes.take(0.2)] == ["limited"]
    assert list(lanes.take(2.1)) == []
    assert [work.webhook_id for work in lanes.take(2.3)] == ["less"]


def test_many_that_begin_to_hang_at_once_leave_places_for_one_that_answers() -> None:
    lanes: Lanes[Work] = Lanes(Limits())
    for n in range(20):
        for _ in range(100):  # so that each has a hundred places
            lanes.add(Work(f"hangs-{n}"))
            for work in list(lanes.take(0.0)):
                lanes.ended(work, 0.0, success=True)
    for n in range(20):
        for _ in range(100):
            lanes.add(Work(f"hangs-{n}"))
    hanging = list(lanes.take(1.0))
    for _ in range(30):
        lanes.add(Work("answers"))
    begun = list(lanes.take(1.1))
    assert [work.webhook_id for work in begun] == ["answers"] * 10
    # When some of the others end, each has more again.
    for work in hanging[:100]:
        lanes.ended(work, 1.2, success=True)
    assert {work.webhook_id for work in lanes.take(1.2)} == {work.webhook_id for work in hanging}


def test_a_place_of_a_hanging_target_has_one_waiting_however_long_that_takes() -> None:
    lanes: Lanes[Work] = Lanes(Limits())
    for _ in range(10):
        lanes.add(Work("hangs"))
    list(lanes.take(0.0))
    lanes.look(15.0)
    for _ in range(10):
        assert lanes.has_room("hangs", 15.0)
        lanes.add(Work("hangs"))
    assert not lanes.has_room("hangs", 15.0)


def test_a_rate_limit_spreads_a_lane_and_holds_up_no_other() -> None:
    lanes: Lanes[Work] = Lanes(Limits(), rate_of={"limited": 10.0}.get)
    for number in range(5):
        lanes.add(Work("limited", number))
    given_out: list[float] = []
    now = 0.0
    while len(given_out) < 5:
        for work in lanes.take(now):
            given_out.append(now)
            lanes.ended(work, now, success=True)
        lanes.add(Work("free"))
        free = list(lanes.take(now))
        assert [work.webhook_id for work in free] == ["free"]
        lanes.ended(free[0], now, success=True)
        now = lanes.next_turn or now
    assert [round(at, 3) for at in given_out] == [0.0, 0.1, 0.2, 0.3, 0.4]
    lanes.look(now + 1)
    lanes.add(Work("limited"))
    assert list(lanes.take(0.45)) == []


def test_a_target_that_only_fails_quickly_has_few_places_until_it_succeeds() -> None:
    lanes: Lanes[Work] = Lanes(Limits(executing_at_first=10, executing_if_failing=2))
    for number in range(100):
        lanes.add(Work("fails", number))

    def a_round(now: float, *, success: bool) -> int:
        taken = take_all(lanes, now)
        for work in taken:
            lanes.ended(work, now + 0.01, success=success)
        return len(taken)

    assert a_round(0.0, success=False) == 10
    assert a_round(1.0, success=False) == 2
    assert a_round(2.0, success=True) == 2
    assert a_round(3.0, success=True) >= 11


def test_a_target_that_fails_now_and_then_keeps_its_places() -> None:
    lanes: Lanes[Work] = Lanes(Limits(executing_at_first=10, executing_if_failing=2))
    for number in range(5_000):
        lanes.add(Work("flaky", number))
    for now in range(20):
        for number, work in enumerate(list(lanes.take(float(now)))):
            lanes.ended(work, now + 0.01, success=number % 5 != 0)
    assert len(list(lanes.take(21.0))) >= 50


def test_a_flood_for_a_target_that_only_fails_is_parked_and_holds_up_no_other() -> None:
    lanes: Lanes[Work] = Lanes(Limits(executing_at_first=10, waiting_if_fast=200))
    for number in range(10):
        lanes.add(Work("fails", number))
    for work in list(lanes.take(0.0)):
        lanes.ended(work, 0.01, success=False)
    for number in range(200):
        assert lanes.has_room("fails", 1.0)
        lanes.add(Work("fails", number, of_much=True))
    assert not lanes.has_room("fails", 1.0)
    assert not lanes.has_room_for_parked("fails", 1.0)
    assert lanes.ready_bytes == 0, "what yields is no reason to read nothing more of the others"
