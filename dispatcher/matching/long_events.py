"""Events that lead to thousands of messages: they are matched beside each other, and others' events meanwhile.

An organization that has its share of that waits with whatever else it has; nobody else does.
"""

import asyncio
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from dispatcher.matching.turns import Turns

_AT_MOST = 4
_AT_MOST_WITH_NEWCOMERS = 16
"""Beyond ``_AT_MOST``, only of organizations that have none."""

# As they came: to read them takes several times as much.
_BEHIND_BYTES = 32 * 1024 * 1024

Matching = Iterator[None]
"""Matches an event, message by message."""


class LongEvents:
    """``match`` begins with an event; ``go_on`` does the rest in a task of its own, and acknowledges it."""

    def __init__(self, match: Callable[[Any], Matching], go_on: Callable[[Any, Matching], asyncio.Task[None]]) -> None:
        self._match = match
        self._go_on = go_on
        self._running: dict[asyncio.Task[None], Hashable] = {}
        self._behind: Turns[Any] = Turns(_organization_of, size_of)

    @property
    def full(self) -> bool:
        """Whether no more can be taken."""
        return len(self._running) >= _AT_MOST_WITH_NEWCOMERS or self._behind.bytes > _BEHIND_BYTES

    async def room(self) -> None:
        """Return when more can be taken."""
        while self.full:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    def hold_back(self, event: Any) -> bool:
        """Keep an event, if its organization has to wait; whether it does."""
        organization = _organization_of(event)
        if organization is None or len(self._running) < _AT_MOST or organization not in self._running.values():
            return False
        self._behind.append(event)
        return True

    def go_on_with(self, event: Any, matching: Matching) -> None:
        """Let the rest of an event be matched beside the others."""
        task = self._go_on(event, matching)
        self._running[task] = _organization_of(event)
        task.add_done_callback(self._ended)

    async def give_up(self) -> None:
        """Forget what waits, and stop what is being matched: none of it is acknowledged."""
        self._behind.clear()
        running = list(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        while len(self._behind) and len(self._running) < _AT_MOST:
            event = self._behind.popleft()
            self.go_on_with(event, self._match(event.message))


def _organization_of(event: Any) -> Hashable:
    key: bytes | None = event.message.key
    return key


def size_of(event: Any) -> int:
    """The bytes of an event as it came."""
    return len(event.message.value or b"")
