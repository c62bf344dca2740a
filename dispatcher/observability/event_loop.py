"""How late the event loop is: what holds it up holds up everything that a process does."""

import asyncio

from dispatcher.background import Background
from dispatcher.observability.metrics import EVENT_LOOP_LAG_SECONDS
from dispatcher.supervision import Part

_EVERY_SECONDS = 0.25


class EventLoopWatch(Background):
    """Wants to be called four times a second, and notes how late that was."""

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + _EVERY_SECONDS
            await asyncio.sleep(_EVERY_SECONDS)
            EVENT_LOOP_LAG_SECONDS.observe(max(clock() - due, 0.0))


def event_loop_watched() -> Part[None]:
    """The watch, as a process starts it."""
    watch = EventLoopWatch()
    return Part("watch of the event loop", watch.start, watch.stop, watch.wait)
