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
