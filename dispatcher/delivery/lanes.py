"""Lanes: each webhook's attempts wait in a lane of their own, so that a slow target holds up nobody else.

How many attempts of a lane are executing at once follows its target: it begins with a few, grows with each success,
shrinks when calls run into the time-out, and is very small while all of them fail quickly, which is work for nothing.
Lanes of slow targets together have at most half of all places, so that the other half is always there for targets that
answer; and the last quarter is for lanes that have few, as it takes a second until a target is known to be slow. Lanes
of slow targets, with nothing but failures, and with much at once have turns of their own each, so that whoever takes
attempts out can let the others go first. What would wait long for a slow target, and what memory has no
room for, is sent away to be parked: when it comes, or later, when a target that was well has begun to hang.

All times are seconds of one monotonic clock, passed in.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Generic, Protocol, TypeVar

from dispatcher.delivery.courtesy import Others
from dispatcher.rotation import Rotation

# What was learnt of a target is kept so long after its last call.
_KEPT_SECONDS = 60.0


class Waiting(Protocol):
    """What lanes need to know of an attempt."""

    @property
    def webhook_id(self) -> str:
        """The lane."""

    @property
    def size(self) -> int:
        """Bytes that it keeps in memory."""

    @property
    def of_much(self) -> bool:
        """Whether it is one of much that its webhook has at once, or was parked."""


W = TypeVar("W", bound=Waiting)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is done at once, and how much waits in memory for its turn."""

    executing: int = 1_000
    executing_per_webhook: int = 100
    executing_at_first: int = 10
    executing_if_failing: int = 2
    """After ``executing_at_first`` quick failures in a row, until the next success."""
    waiting_bytes: int = 128 * 1024 * 1024
    waiting_seconds: float = 5.0
    """The lane of a slow target has room while a new attempt would wait no longer than this.

    It is given as long to be well again before what waits already is sent away.
    """
    parked_waiting_seconds: float = 60.0
    """The same for parked attempts that a rate limit holds back: others' may keep those behind them from coming."""
    waiting_if_slow: int = 100
    """Parked attempts come back while fewer than half as many wait for it."""
    waiting_if_fast: int = 2_000
    """Parked attempts come back while fewer than half as many wait; of a target that only fails no more have room."""
    sent_away_at_once: int = 500
    """The rest when ``look`` looks again: whoever has to park them has others to serve."""
    slow_seconds: float = 1.0
    """A target is slow when its calls take longer."""


@dataclass(slots=True, eq=False)
class _Lane(Generic[W]):
    webhook_id: str
    places: int
    waiting: deque[W] = field(default_factory=deque)
    waiting_bytes: int = 0
    of_much: int = 0
    """How many of ``waiting`` are of much."""
    much: bool = False
    """Whether there were any when ``look`` looked last, or have been since."""
    ready_bytes: int = 0
    """What the lane adds to the ``ready_bytes`` of all lanes, as of its last change: ``waiting_bytes``, or nothing."""
    executing: dict[int, float] = field(default_factory=dict)
    """When each attempt that is executing was given out, the longest first."""
    failures: int = 0
    """In a row."""
    failing: bool = False
    """Whether these are so many that it seems to do nothing else."""
    seconds: float = 0.0
    """How long its calls take, lately."""
    slow: bool = False
    rate: float | None = None
    """Its limit in attempts a second, as it was when its last attempt was given out."""
    shorten_at: float = inf
    """When what waits for longer than would be let in is sent away: the target became slow, or its limit another."""
    held_back: bool = False
    """Whether its rate limit keeps it from having a turn; then ``not_before`` it has none."""
    not_before: float = 0.0
    used: float = 0.0

    @property
    def may_begin(self) -> bool:
        """Whether one that waits could be executed, as far as the lane itself goes."""
        return bool(self.waiting) and not self.held_back and len(self.executing) < self.places


class Lanes(Generic[W]):
    """Takes attempts in, and gives them out lane by lane in turns.

    ``rate_of`` gives a webhook's limit in attempts a second, or None.
    """

    def __init__(self, limits: Limits, rate_of: Callable[[str], float | None] = lambda _: None) -> None:
        self._limits = limits
        self._rate_of = rate_of
        self._lanes: dict[str, _Lane[W]] = {}
        self._turns: Rotation[_Lane[W]] = Rotation()
        self.much_turns: Rotation[_Lane[W]] = Rotation()
        """Lanes with much at once."""
        self.failing_turns: Rotation[_Lane[W]] = Rotation()
        """Lanes with nothing but quick failures lately."""
        self.slow_turns: Rotation[_Lane[W]] = Rotation()
        """Lanes of slow targets: what begins together ends together, when a time-out or the target's wait is over."""
        self.others = Others()
        """Lanes with little at once, of targets that answer soon and well."""
        self._later: list[tuple[float, int, _Lane[W]]] = []
        self._crowded: Rotation[_Lane[W]] = Rotation()
        """Lanes with many places that had a turn while few were left."""
        self._numbers = count()
        self._executing = 0
        self._executing_slow = 0
        self._waiting_bytes = 0
        self._ready_bytes = 0

    @property
    def executing(self) -> int:
        """How many attempts have been given out and not ended."""
        return self._executing

    @property
    def waiting(self) -> int:
        """How many attempts wait for their turn."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    @property
    def ready_bytes(self) -> int:
        """What those keep in memory that wait for nothing but their turn, but for slow and failing targets'."""
        return self._ready_bytes

    @property
    def slow(self) -> int:
        """How many lanes there are of slow targets."""
        return sum(lane.slow for lane in self._lanes.values())

    @property
    def fast(self) -> int:
        """How many lanes there are of targets that answer soon."""
        return len(self._lanes) - self.slow

    @property
    def next_turn(self) -> float | None:
        """When the next lane that a rate limit holds back may go on."""
        return self._later[0][0] if self._later else None

    def has_room(self, webhook_id: str, now: float) -> bool:
        """Whether another attempt may wait: always, unless its target is slow or only fails and the wait would be long.

        Even then one for each place may; no more, as no offset behind what waits is committed. For a rate limit none
        waits long. That it is the dispatcher itself which has much to do is no reason to send an attempt away.
        """
        lane = self._lanes.get(webhook_id)
        return lane is None or self._has_room_behind(len(lane.waiting), lane, now, self._limits.waiting_seconds)

    def _has_room_behind(self, waiting: int, lane: _Lane[W], now: float, seconds: float) -> bool:
        if lane.failing and waiting >= self._limits.waiting_if_fast:
            return False
        rate = lane.rate
        if not rate and (not lane.slow or waiting < lane.places):
            return True
        a_call = max(lane.seconds, now - next(iter(lane.executing.values()), now))
        wait = waiting * a_call / lane.places
        if rate:
            wait = max(wait, max(lane.not_before - now, 0.0) + waiting / rate)
        return wait <= seconds

    def has_room_for_parked(self, webhook_id: str, now: float) -> bool:
        """Whether an attempt that was sent away should come back: when few of its kind wait, and its turn is near."""
        lane = self._lanes.get(webhook_id)
        if lane is None:
            return True
        seconds = self._limits.parked_waiting_seconds
        if lane.rate and not self._has_room_behind(len(lane.waiting), lane, now, seconds):
            return False
        much = self._limits.waiting_if_slow if lane.slow else self._limits.waiting_if_fast
        return len(lane.waiting) < much // 2 and self._waiting_bytes < self._limits.waiting_bytes // 2

    def add(self, work: W) -> None:
        """Let an attempt wait for its turn."""
        lane = self._lanes.get(work.webhook_id)
        if lane is None:
            rate = self._rate_of(work.webhook_id)
            lane = self._lanes[work.webhook_id] = _Lane(work.webhook_id, self._limits.executing_at_first, rate=rate)
        lane.waiting.append(work)
        if work.of_much:
            lane.of_much += 1
            lane.much = True
            self.others.has_much(lane.webhook_id)
        self._waits(lane, work.size)
        self._want_turn(lane)

    def take(self, now: float) -> Iterator[W]:
        """The attempts whose turn it is, but for those below; each is executing until ``ended``."""
        while self._later and self._later[0][0] <= now:
            _, _, held_back = heappop(self._later)
            held_back.held_back = False
            self._want_turn(held_back)
        while self._crowded.wants and not self._few_left and (crowded := self._crowded.take()) is not None:
            self._want_turn(crowded)
        reserved = self._limits.executing // 20  # so that who yields is not starved by the many who answer
        while (
            self._executing < self._limits.executing - reserved and (lane := self._next(self._turns, now)) is not None
        ):
            self.others.had_turn(lane.webhook_id, now)
            yield self._give_out(lane, now)

    def take_from(self, turns: Rotation[_Lane[W]], now: float) -> Iterator[W]:
        """Those of ``much_turns``, ``failing_turns`` or ``slow_turns``."""
        while turns is not self.slow_turns or self._executing_slow < self._limits.executing // 2:
            lane = self._next(turns, now)
            if lane is None:
                return
            yield self._give_out(lane, now)

    def _give_out(self, lane: _Lane[W], now: float) -> W:
        work = lane.waiting.popleft()
        lane.of_much -= work.of_much
        self._waits(lane, -work.size)
        lane.executing[id(work)] = now
        self._executing += 1
        self._executing_slow += lane.slow
        if (rate := self._rate_of(lane.webhook_id)) != lane.rate:
            self._change_rate(lane, rate, now)
        if lane.rate:
            lane.not_before = max(now, lane.not_before) + 1 / lane.rate
        self._want_turn(lane)
        return work

    @staticmethod
    def _change_rate(lane: _Lane[W], rate: float | None, now: float) -> None:
        lane.rate, lane.shorten_at = rate, now
        lane.not_before = min(lane.not_before, now + 1 / rate) if rate else now

    def ended(self, work: W, now: float, *, success: bool) -> None:
        """An attempt that was given out has ended; its place is free."""
        lane = self._lanes[work.webhook_id]
        seconds = now - lane.executing.pop(id(work))
        self._executing -= 1
        self._executing_slow -= lane.slow
        lane.seconds = seconds if not lane.seconds else 0.8 * lane.seconds + 0.2 * seconds
        limits = self._limits
        lane.failures = 0 if success else lane.failures + 1
        lane.failing = lane.failures >= limits.executing_at_first
        if success:
            lane.places = min(max(lane.places, limits.executing_at_first) + 1, limits.executing_per_webhook)
        elif seconds >= limits.slow_seconds:
            fewer = max(lane.places // 2, limits.executing_at_first)
            if fewer < lane.places:
                lane.places = fewer
                self._shorten_later(lane, now)
        elif lane.failing:
            lane.places = limits.executing_if_failing
        self._set_slow(lane, now, slow=lane.seconds >= self._limits.slow_seconds)
        lane.used = now
        self._want_turn(lane)

    def look(self, now: float) -> list[W]:
        """Notice which targets have kept somebody waiting for long; call it a few times a second.

        Gives back what has to wait elsewhere for those that were well when it came.
        """
        taken: list[W] = []
        for webhook_id, lane in list(self._lanes.items()):
            if lane.much and not lane.of_much:
                lane.much = False
                self._want_turn(lane)
            if lane.waiting and (rate := self._rate_of(webhook_id)) != lane.rate:
                self._change_rate(lane, rate, now)
                lane.held_back = False
                self._want_turn(lane)
            if lane.executing:
                if not lane.slow and now - next(iter(lane.executing.values())) >= self._limits.slow_seconds:
                    self._set_slow(lane, now, slow=True)
                    self._want_turn(lane)
            elif not lane.waiting and not lane.held_back and now - max(lane.used, lane.not_before) >= _KEPT_SECONDS:
                del self._lanes[webhook_id]
            if now >= lane.shorten_at:
                seconds = self._limits.waiting_seconds
                while lane.waiting and not self._has_room_behind(len(lane.waiting) - 1, lane, now, seconds):
                    if len(taken) >= self._limits.sent_away_at_once:
                        return taken
                    taken.append(self._take_back(lane))
                    self._count(lane)
                lane.shorten_at = inf
        return taken

    def overflow(self) -> list[W]:
        """Take back what waits at the end of the longest lanes, as far as memory is short."""
        taken: list[W] = []
        while self._waiting_bytes > self._limits.waiting_bytes:
            longest = max(self._lanes.values(), key=lambda lane: len(lane.waiting))
            for _ in range((len(longest.waiting) + 1) // 2):
                taken.append(self._take_back(longest))
                if self._waiting_bytes <= self._limits.waiting_bytes:
                    break
            self._count(longest)
        return taken

    def _take_back(self, lane: _Lane[W]) -> W:
        work = lane.waiting.pop()
        lane.of_much -= work.of_much
        self._waits(lane, -work.size)
        return work

    def drop_waiting(self) -> list[W]:
        """Forget everything that waits; what is executing goes on."""
        dropped = [work for lane in self._lanes.values() for work in lane.waiting]
        for lane in self._lanes.values():
            lane.waiting.clear()
            lane.waiting_bytes = lane.ready_bytes = lane.of_much = 0
            lane.held_back = False
        for turns in (self._turns, self.much_turns, self.failing_turns, self.slow_turns):
            turns.clear()
        self._later.clear()
        self._crowded.clear()
        self._waiting_bytes = self._ready_bytes = 0
        return dropped

    def _next(self, turns: Rotation[_Lane[W]], now: float) -> _Lane[W] | None:
        while self._executing < self._limits.executing and (lane := turns.take()) is not None:
            right = self._turns_of(lane)
            if right is not turns:
                right.want(lane)
            elif len(lane.executing) >= self._limits.executing_at_first and self._few_left:
                self._crowded.want(lane)
            elif self._may_begin(lane, now):
                return lane
        return None

    @property
    def _few_left(self) -> bool:
        return self._executing >= self._limits.executing * 3 // 4

    def _turns_of(self, lane: _Lane[W]) -> Rotation[_Lane[W]]:
        if lane.slow:
            return self.slow_turns
        if lane.failing:
            return self.failing_turns
        return self.much_turns if lane.much else self._turns

    def _may_begin(self, lane: _Lane[W], now: float) -> bool:
        if lane.not_before > now and lane.waiting and not lane.held_back:
            lane.held_back = True
            self._count(lane)
            heappush(self._later, (lane.not_before, next(self._numbers), lane))
        return lane.may_begin

    def _waits(self, lane: _Lane[W], size: int) -> None:
        lane.waiting_bytes += size
        self._waiting_bytes += size

    def _count(self, lane: _Lane[W]) -> bool:
        """Count how much of a lane could begin; whether any could."""
        may_begin = lane.may_begin
        ready = lane.waiting_bytes if may_begin and not lane.slow and not lane.failing else 0
        self._ready_bytes += ready - lane.ready_bytes
        lane.ready_bytes = ready
        return may_begin

    def _want_turn(self, lane: _Lane[W]) -> None:
        if self._count(lane):
            self._turns_of(lane).want(lane)

    def _set_slow(self, lane: _Lane[W], now: float, *, slow: bool) -> None:
        if lane.slow != slow:
            lane.slow = slow
            if slow:
                self._shorten_later(lane, now)
            self._executing_slow += len(lane.executing) if slow else -len(lane.executing)

    def _shorten_later(self, lane: _Lane[W], now: float) -> None:
        lane.shorten_at = min(lane.shorten_at, now + self._limits.waiting_seconds)
