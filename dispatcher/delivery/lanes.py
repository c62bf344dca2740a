"""Lanes: each webhook's attempts wait in a lane of their own, so that a slow target holds up nobody else."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """What lanes need to know of an attempt."""

    @property
    def webhook_id(self) -> str:
        """The lane."""

    @property
    def size(self) -> int:
        """Bytes that it keeps in memory."""


W = TypeVar("W", bound=Waiting)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is done at once, and how much waits in memory for its turn."""

    executing: int = 1_000
    executing_per_webhook: int = 100
    waiting_per_webhook: int = 1_000
    waiting: int = 10_000
    waiting_bytes: int = 64 * 1024 * 1024


@dataclass(slots=True, eq=False)
class _Lane(Generic[W]):
    waiting: deque[W] = field(default_factory=deque)
    executing: int = 0
    ready: bool = False


class Lanes(Generic[W]):
    """Takes attempts in, and gives them out lane by lane in turns."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lanes: dict[str, _Lane[W]] = {}
        self._ready: deque[_Lane[W]] = deque()
        self._executing = 0
        self._waiting = 0
        self._waiting_bytes = 0

    @property
    def executing(self) -> int:
        """How many attempts have been given out and not ended."""
        return self._executing

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing more should be read."""
        return self._waiting >= self._limits.waiting or self._waiting_bytes >= self._limits.waiting_bytes

    def has_room(self, webhook_id: str) -> bool:
        """Whether another attempt may wait in the webhook's lane."""
        lane = self._lanes.get(webhook_id)
        return lane is None or len(lane.waiting) < self._limits.waiting_per_webhook

    def add(self, work: W) -> None:
        """Let an attempt wait for its turn."""
        lane = self._lanes.get(work.webhook_id)
        if lane is None:
            lane = self._lanes[work.webhook_id] = _Lane()
        lane.waiting.append(work)
        self._waiting += 1
        self._waiting_bytes += work.size
        self._make_ready(lane)

    def take(self) -> Iterator[W]:
        """The attempts whose turn it is now; each is executing until ``ended``."""
        while self._ready and self._executing < self._limits.executing:
            lane = self._ready.popleft()
            lane.ready = False
            work = lane.waiting.popleft()
            lane.executing += 1
            self._executing += 1
            self._waiting -= 1
            self._waiting_bytes -= work.size
            self._make_ready(lane)
            yield work

    def ended(self, webhook_id: str) -> None:
        """An attempt that was given out has ended."""
        lane = self._lanes[webhook_id]
        lane.executing -= 1
        self._executing -= 1
        if lane.waiting:
            self._make_ready(lane)
        elif not lane.executing:
            del self._lanes[webhook_id]

    def drop_waiting(self) -> list[W]:
        """Forget everything that waits; what is executing goes on."""
        dropped = [work for lane in self._lanes.values() for work in lane.waiting]
        self._ready.clear()
        self._waiting = self._waiting_bytes = 0
        for webhook_id, lane in list(self._lanes.items()):
            lane.waiting.clear()
            lane.ready = False
            if not lane.executing:
                del self._lanes[webhook_id]
        return dropped

    def _make_ready(self, lane: _Lane[W]) -> None:
        if lane.waiting and not lane.ready and lane.executing < self._limits.executing_per_webhook:
            lane.ready = True
            self._ready.append(lane)
