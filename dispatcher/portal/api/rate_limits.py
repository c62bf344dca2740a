"""How often somebody may ask, and how much of it at once.

Both are counted in this process, by whose token it is or by organization: two portals behind one address allow twice
as much, and a portal that restarts has forgotten. What is left is told with every answer, in the headers ``RateLimit``
and ``RateLimit-Policy`` of draft-ietf-httpapi-ratelimit-headers-10.
"""

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dispatcher.portal.api.problems import Problem

_NO_LESS = 1e-9  # of a request: what the arithmetic of floats may lose


@dataclass(frozen=True, slots=True)
class Policy:
    """At most ``quota`` requests at once; one that was spent is there again after ``seconds / quota``."""

    name: str
    quota: int
    seconds: int


EVERYTHING = Policy("default", quota=1_000, seconds=10)
"""What a page full of islands and a program that tidies up stay below."""

TESTS = Policy("test", quota=60, seconds=60)
RECOVERIES = Policy("recover", quota=30, seconds=60)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a request found: how many more may come, when all of the quota is there again, how long to wait before."""

    policy: Policy
    remaining: int
    whole_after: float
    wait: float


class RateLimits:
    """Counts requests by policy and key. ``monotonic`` counts seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._spent: OrderedDict[tuple[Policy, Hashable], tuple[float, float]] = OrderedDict()

    def take(self, policy: Policy, key: Hashable) -> Standing:
        """Spend one request, unless there is none left: then ``wait`` is above 0."""
        self._forget_whole()
        now, rate = self._monotonic(), policy.quota / policy.seconds
        spent, at = self._spent.get((policy, key), (0.0, now))
        spent = max(0.0, spent - (now - at) * rate)
        left = policy.quota - spent + _NO_LESS
        if left < 1:
            return Standing(policy, 0, spent / rate, (1 - left) / rate)
        self._spent[policy, key] = spent + 1, now
        self._spent.move_to_end((policy, key))
        return Standing(policy, math.floor(left - 1), (spent + 1) / rate, 0.0)

    def _forget_whole(self) -> None:
        """Those that have asked for nothing for so long that their quota is whole: two at most, and one may come."""
        for _ in range(2):
            first = next(iter(self._spent), None)
            if first is None or self._monotonic() - self._spent[first][1] < first[0].seconds:
                return
            del self._spent[first]


def headers_of(standings: Sequence[Standing]) -> Mapping[str, str]:
    """The headers that tell what is left."""
    if not standings:
        return {}
    policies = (f'"{one.policy.name}";q={one.policy.quota};w={one.policy.seconds}' for one in standings)
    left = (f'"{one.policy.name}";r={one.remaining};t={math.ceil(one.whole_after)}' for one in standings)
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(left)}


def too_often(standing: Standing) -> Problem:
    """429: the quota is spent."""
    policy = standing.policy
    return Problem(
        429,
        f"That was more than {policy.quota} requests in {policy.seconds} s. Wait, then go on more slowly.",
        headers={"Retry-After": str(max(1, math.ceil(standing.wait)))},
    )


class AtOnce:
    """How much of something goes on at the same time, by key."""

    def __init__(self, what: str, most: int) -> None:
        self._what = what
        self._most = most
        self._going_on: Counter[str] = Counter()

    @contextmanager
    def one(self, key: str) -> Iterator[None]:
        """Another one.

        Raises:
            Problem: 429, there are as many as there may be.
        """
        if self._going_on[key] >= self._most:
            raise Problem(
                429,
                f"{self._most} {self._what} are going on already. Wait until one has ended.",
                headers={"Retry-After": "1"},
            )
        self._going_on[key] += 1
        try:
            yield
        finally:
            self._going_on[key] -= 1
            if not self._going_on[key]:
                del self._going_on[key]
