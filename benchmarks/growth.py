"""How the rate grows with senders, and with matchers, until cores run out: `python -m benchmarks.growth`.

Each of them gets a small share of a core (`shares`), so that a machine of two can tell; everything else is as free as
ever. They are `dispatcher run sender`, with a matcher and a recorder, and `run matcher`, with neither of the others.
What is told of a case are successive windows of one flood.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.events import OBJECTS, object_created, webhook
from benchmarks.flow import a_run, publish
from benchmarks.load import received, receiver, scratch
from benchmarks.part import Figures, Part, Sizes
from benchmarks.roles import Apart, apart
from benchmarks.shares import NoShares, share_of_a_core
from dispatcher.webhooks.webhook import Webhook
from tests.support.counting import records_in

PROCESSES = (1, 3, 6)
"""They share the partitions evenly: there are 12 of deliveries, 6 of events."""

_WARM_UP = 2
_KINDS = [f"kind-{number}" for number in range(5)]


@dataclass(frozen=True)
class Webhooks:
    """So many of each organization; one more than another wants the next kind of object, and as many kinds as it."""

    title: str
    organizations: int
    of_each: int
    messages_an_event: int

    def configured(self, url: str) -> Iterable[Webhook]:
        """All of them, with their targets."""
        kinds = len(_KINDS) * self.messages_an_event // self.of_each
        for organization in range(self.organizations):
            for own in range(self.of_each):
                yield webhook(
                    f"wh-{organization}-{own}",
                    f"{url}growth/{organization}/{own}",
                    organization=f"org-{organization}",
                    entity_types=[_KINDS[(own + further) % len(_KINDS)] for further in range(kinds)],
                )

    def event(self, number: int, run: str) -> bytes:
        """The events are of one organization after the other, and of each kind."""
        kind, organization = divmod(number, self.organizations)
        return object_created(number, run, organization=f"org-{organization}", entity_type=_KINDS[kind % len(_KINDS)])


@dataclass(frozen=True)
class Limited:
    """A role whose processes have a share of a core each, and what tells how far they have come."""

    role: str
    share: float
    most: int
    """About what one of them does in a second."""
    all_busy_until: float
    """How much of all can be done before one of them may have nothing to do: events are spread evenly, and webhooks are
    not."""
    beside: tuple[str, ...]
    done: str
    count: Callable[[Apart, str], Awaitable[int]]


async def _arrived(_: Apart, url: str) -> int:
    groups = (await received(url))["groups"]
    return int(groups["growth"]["count"]) if "growth" in groups else 0


async def _matched(running: Apart, _: str) -> int:
    return sum((await records_in(running.clients(), "webhooks.deliveries", "webhooks.bulk")).values())


SENDERS = Limited("sender", 0.15, 1_000, 0.5, ("matcher", "recorder"), "delivered", _arrived)
# Of five webhooks one sender may have one, and twice as long to wait for the matcher.
OF_FEW = replace(SENDERS, most=2_000)
MATCHERS = Limited("matcher", 0.1, 1_300, 0.9, (), "matched", _matched)

# Where senders are looked at, the matcher is soon done with an event of many messages; one of one message costs a
# matcher most.
CASES = (
    *((SENDERS, count, Webhooks("100 webhooks", 20, 5, 5)) for count in PROCESSES),
    *((MATCHERS, count, Webhooks("100 webhooks", 20, 5, 1)) for count in PROCESSES),
    (OF_FEW, 3, Webhooks("one webhook", 1, 1, 1)),
    (OF_FEW, 3, Webhooks("the same as five, each with a part of its items", 1, 5, 1)),
)


async def measure(sizes: Sizes, figures: Figures) -> None:
    try:
        for limited, count, webhooks in CASES:
            async with (
                scratch() as directory,
                receiver() as url,
                apart(directory, [*limited.beside, *[limited.role] * count]) as running,
            ):
                await running.configure(webhooks.configured(url))
                await _rates(running, url, limited, count, webhooks, sizes, figures)
    except NoShares as error:
        print(f"  left out: {error}")


async def _rates(
    running: Apart, url: str, limited: Limited, count: int, webhooks: Webhooks, sizes: Sizes, figures: Figures
) -> None:
    """What is done in each run's seconds, after twice as many to warm up.

    Raises:
        RuntimeError: one of the processes may have had nothing to do any more.
    """
    messages = 2 * count * limited.most * (sizes.runs + _WARM_UP) * sizes.seconds
    events = messages // webhooks.messages_an_event
    processes = [process.pid for name, process in running.processes() if name == limited.role]
    what = f"{webhooks.title}, {count} {limited.role}s with {limited.share:.0%} of a core each: {limited.done}"
    with share_of_a_core(processes, limited.share):
        await publish(running.clients(), OBJECTS, events, partial(webhooks.event, run=a_run()))
        await asyncio.sleep(_WARM_UP * sizes.seconds)
        before = await limited.count(running, url)
        for _ in range(sizes.runs):
            await asyncio.sleep(sizes.seconds)
            now = await limited.count(running, url)
            figures.add(what, "/s", (now - before) / sizes.seconds)
            before = now
    if before > messages * limited.all_busy_until:
        raise RuntimeError(f"{before} of {messages} are {limited.done}: too many to know that all were busy")


PART = Part(
    "growth",
    "senders and matchers that have a share of a core each, as 1, 3 and 6 processes",
    measure,
    {"seconds": 3},
    {"seconds": 30},
)

if __name__ == "__main__":
    PART.alone()
