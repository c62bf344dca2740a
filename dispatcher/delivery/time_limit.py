"""A limit of time that many calls have, each from its own beginning on: one timer sees to all of them."""

import asyncio


class TimeLimit:
    """Ends what takes longer than ``seconds``, as ``asyncio.timeout`` does. Used inside one running loop.

    A timer for each call, which is set and nearly always taken back, costs as much as all else that ``asyncio.timeout``
    does. What began first ends first here, so there is one timer for what has run the longest.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: dict[asyncio.Timeout, float] = {}
        """Until when each may run, the first to end first."""
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> asyncio.Timeout:
        """The limit of what begins now: an ``async with`` it follows at once, and ``end`` in any case."""
        loop = asyncio.get_running_loop()
        timeout = asyncio.timeout(None)
        self._running[timeout] = until = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_at(until, self._end_due)
        return timeout

    def end(self, timeout: asyncio.Timeout) -> None:
        """What began with this limit has ended."""
        self._running.pop(timeout, None)

    def _end_due(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = []
        for timeout, until in self._running.items():
            if until > now:
                self._timer = loop.call_at(until, self._end_due)
                break
            due.append(timeout)
        for timeout in due:
            del self._running[timeout]
            timeout.reschedule(now)
