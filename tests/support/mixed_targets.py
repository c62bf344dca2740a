"""Organizations whose targets answer, heal after a failure, or fail for ever; and how often each must be called."""

from dispatcher.assembly import RoleName
from tests.support.fault_table import Row
from tests.support.tally import Behaviour, always, fail_first
from tests.support.traffic import Traffic

ORGANIZATIONS = tuple(f"org-{number}" for number in range(1, 5))
ROLES = (RoleName.MATCHER, RoleName.SENDER, RoleName.RELAY, RoleName.RECORDER)

HEALS, FAILS = "heals", "fails"


async def make_webhooks(traffic: Traffic, behaviour: Behaviour) -> None:
    """A webhook in each organization that answers so, one that fails at first, and one that always fails."""
    for organization in ORGANIZATIONS:
        await traffic.webhook(f"good-{organization}", behaviour, organization)
    await traffic.webhook(HEALS, fail_first(1), ORGANIZATIONS[0])
    await traffic.webhook(FAILS, always(500), ORGANIZATIONS[1])


async def everything_was_delivered(traffic: Traffic, timeout: float = 60) -> None:
    """Wait for the end of all work; every attempt was made that the schedule wants, and no other."""
    await traffic.have_arrived(timeout=timeout)
    await traffic.quiet(timeout)
    attempts = traffic.tally.attempts()
    for message in traffic.expected:
        wanted = {HEALS: 2, FAILS: traffic.topics.schedule.attempts}.get(message[0], 1)
        assert sorted(set(attempts[message])) == list(range(1, wanted + 1)), message
    assert not traffic.tally.ids_that_changed()


async def metrics_are_exact(traffic: Traffic, timeout: float = 60) -> None:
    """Return when ClickHouse counts every message once, and as it ended."""
    await traffic.metrics_are_exact(failing=[FAILS], timeout=timeout)


def row_of_kills(traffic: Traffic, fault: str, *, in_flight: int, notes: str) -> Row:
    """What a fault cost that killed whoever had ``in_flight`` calls in his hands."""
    return Row(
        fault,
        messages=len(traffic.expected),
        lost=len(traffic.lost()),
        twice=traffic.tally.made_more_than_once().total(),
        in_flight=in_flight,
        worst_delay=max(traffic.delays()),
        notes=notes,
    )
