"""Senders and matchers as 1, 2, 4 processes, on 100 webhooks of 20 organizations: `python -m benchmarks.scale`.

`dispatcher up --senders N` has one matcher in its main process; the others run beside it, as on a cluster. Where there
are fewer cores than processes, the rate cannot grow: then the processor time of a delivery shows what more processes
cost.
"""

from functools import partial

from benchmarks.events import OBJECTS, object_created, webhook
from benchmarks.flow import a_run, costs, rate_of
from benchmarks.load import dispatcher, receiver, scratch
from benchmarks.part import Figures, Part, Sizes

PROCESSES = (1, 2, 4)
ORGANIZATIONS = 20
WEBHOOKS = 100

_OF_ONE = WEBHOOKS // ORGANIZATIONS


async def measure(sizes: Sizes, figures: Figures) -> None:
    events = sizes.messages // _OF_ONE
    messages = events * _OF_ONE
    for count in PROCESSES:
        async with (
            scratch() as data_dir,
            receiver() as url,
            dispatcher(count, data_dir) as running,
            running.with_matchers(count - 1),
        ):
            await running.configure(
                webhook(f"wh-{n}", f"{url}scale/{n}", organization=f"org-{n // _OF_ONE}") for n in range(WEBHOOKS)
            )
            for _ in range(sizes.runs):
                measured = Figures(quiet=True)
                async with costs(running, url, messages, measured):
                    rate = await rate_of(
                        running,
                        url,
                        "scale",
                        OBJECTS,
                        events,
                        partial(_event, run=a_run()),
                        messages,
                    )
                figures.add(f"{count} senders and matchers: delivered", "/s", rate)
                for (what, unit), values in measured.values.items():
                    if unit != "MiB" or "peak" in what:
                        figures.add(f"{count} senders and matchers: {what}", unit, values[0])


def _event(number: int, run: str) -> bytes:
    return object_created(number, run, organization=f"org-{number % ORGANIZATIONS}")


PART = Part(
    "scale",
    "senders and matchers as 1, 2 and 4 processes, 100 webhooks of 20 organizations",
    measure,
    {"messages": 20_000},
    {"messages": 200_000},
)

if __name__ == "__main__":
    PART.alone()
