from hypothesis import given
from hypothesis import strategies as st

from dispatcher.kafka.clock import BrokerClock

BROKER = 1_795_000_000_000


class Machine:
    """A machine whose wall clock is off, and may jump."""

    def __init__(self, wall_is_off_by: float) -> None:
        self.elapsed = 0.0
        self.off = wall_is_off_by

    def wall(self) -> float:
        return BROKER / 1000 + self.elapsed + self.off

    def monotonic(self) -> float:
        return 5_000 + self.elapsed

    def broker(self) -> int:
        return BROKER + round(self.elapsed * 1000)


@given(st.floats(-7200, 7200), st.lists(st.integers(0, 20_000), min_size=3, max_size=50))
def test_the_brokers_time_is_learnt_from_acknowledgements(off: float, delays: list[int]) -> None:
    machine = Machine(off)
    clock = BrokerClock(machine.wall, machine.monotonic)
    for delay in [*delays, *([50] * 70)]:
        machine.elapsed += 1
        clock.learn(machine.broker() - delay)
    assert machine.broker() - 50 <= clock.now() <= machine.broker()


def test_a_wall_clock_that_jumps_changes_nothing() -> None:
    machine = Machine(0)
    clock = BrokerClock(machine.wall, machine.monotonic)
    machine.elapsed, machine.off = 10, 3_600
    assert clock.now() == machine.broker()


def test_a_machine_that_is_ahead_learns_so_from_the_first_answer() -> None:
    machine = Machine(3_600)
    clock = BrokerClock(machine.wall, machine.monotonic)
    sent = clock.elapsed()
    machine.elapsed += 0.02
    clock.learn(machine.broker() - 5, sent)
    assert machine.broker() - 5 <= clock.now() <= machine.broker()


def test_is_confirmed_by_an_answer_and_not_by_what_is_read() -> None:
    machine = Machine(0)
    clocks = [BrokerClock(machine.wall, machine.monotonic) for _ in range(3)]
    clocks[1].at_least(machine.broker())
    clocks[2].learn(machine.broker())
    assert [clock.confirmed for clock in clocks] == [False, False, True]


def test_a_machine_that_is_behind_learns_so_from_what_it_reads() -> None:
    machine = Machine(-3_600)
    clock = BrokerClock(machine.wall, machine.monotonic)
    clock.at_least(machine.broker() - 30)
    clock.at_least(machine.broker() - 60_000)
    assert clock.now() == machine.broker() - 30
    machine.elapsed += 40
    assert clock.now() == machine.broker() - 30


@given(st.floats(-7200, 7200), st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1))
def test_the_time_lies_between_what_answers_allow(off: float, answers: list[tuple[int, int]]) -> None:
    machine = Machine(off)
    clock = BrokerClock(machine.wall, machine.monotonic)
    for there, back in answers:
        sent = clock.elapsed()
        machine.elapsed += there / 1000
        stamped = machine.broker()
        machine.elapsed += back / 1000
        clock.learn(stamped, sent)
        assert -max(each for _, each in answers) - 2 <= clock.now() - machine.broker() <= there + 2
