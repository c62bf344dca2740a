"""An operation on 10,000 devices with five webhooks, 50,000 messages of one event: `python -m benchmarks.devices`."""

from functools import partial

from benchmarks.ceilings import bare_client
from benchmarks.events import OPERATIONS, operation_executed, webhook
from benchmarks.flow import a_run, costs, rate_of
from benchmarks.load import dispatcher, receiver, scratch
from benchmarks.part import Figures, Part, Sizes
from dispatcher.events.types import EventType


async def measure(sizes: Sizes, figures: Figures) -> None:
    messages = sizes.devices * sizes.webhooks
    async with scratch() as data_dir, receiver() as url, dispatcher(sizes.senders, data_dir) as running:
        await running.configure(
            webhook(f"wh-{n}", f"{url}devices/{n}", event_type=EventType.OPERATION_EXECUTED_IN_WORKSPACE)
            for n in range(sizes.webhooks)
        )
        for _ in range(sizes.runs):
            bare = await bare_client(url, 10_000)
            async with costs(running, url, messages, figures):
                make = partial(operation_executed, run=a_run(), devices=sizes.devices)
                rate = await rate_of(running, url, "devices", OPERATIONS, 1, make, messages)
            figures.add("delivered", "/s", rate)
            figures.add("of the bare client's rate", "of 1", rate / bare)
            figures.add("one operation, until its last message has arrived", "s", messages / rate)


PART = Part(
    "devices",
    "one operation on 10,000 devices, five webhooks: 50,000 messages of one event",
    measure,
    {"devices": 10_000, "webhooks": 5, "senders": 1},
)

if __name__ == "__main__":
    PART.alone()
