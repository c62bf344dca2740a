"""``Idempotency-Key``: a request that is sent again gets the answer of the first time.

As draft-ietf-httpapi-idempotency-key-header-07 has it, but that a request which comes while the first is being
answered waits for that answer, instead of getting 409.

An answer is kept in this process for a day, and for the last few thousand keys, fewer where requests are large. A
portal that has restarted, or another one behind the same address, knows a request by what it created: the id follows
from the key, and where two portals create at once, one stands first in ``webhooks.config``; the other takes back what
it wrote, if its body was another. If it was deleted since, such a portal creates another.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Generic, TypeVar

from dispatcher.portal.api.problems import BadField, Problem, invalid

HEADER = "Idempotency-Key"
MAX_LENGTH = 255

KEPT = timedelta(days=1)
"""How long a key means the same request."""

_MOST_KEYS = 10_000
_MOST_BYTES = 64 * 1024 * 1024
"""Of the bodies of requests whose answers are kept, which are about as large."""

T = TypeVar("T")


def unquoted(key: str) -> str:
    """The key in the header: the draft's form is a string in quotes, and many programs send it without."""
    quoted = len(key) > 2 and key.startswith('"') and key.endswith('"')
    return key[1:-1] if quoted else key


class KeyedIds:
    """The ids that a request with a key may give to what it creates, one for each day, so that none is given twice.

    The first half of an id follows from the key and the day, and is what every request with that key has in common; the
    second follows from the body too.
    """

    def __init__(self, key: tuple[str, ...], body: bytes, now: datetime) -> None:
        today = now.date().toordinal()
        self.today = _id(key, body, today)
        # Yesterday's, and tomorrow's at a portal whose clock is ahead.
        self._ids = (self.today, *(_id(key, body, today + days) for days in (-1, 1)))

    def __contains__(self, id: str) -> bool:
        """Whether this very request may have given it."""
        return id in self._ids

    def of_key(self, id: str) -> bool:
        """Whether a request with this key may have given it."""
        return any(len(id) == len(one) and id[:_HALF] == one[:_HALF] for one in self._ids)


_HALF = 12


def _id(key: tuple[str, ...], body: bytes, day: int) -> str:
    of_key = sha256(json.dumps([*key, day]).encode()).digest()
    return of_key.hex()[:_HALF] + sha256(of_key + body).hexdigest()[:_HALF]


def used_for_another() -> Problem:
    """422: a key means one request."""
    return invalid([BadField(field=HEADER, detail="was used for another request; use a new key for each request")])


@dataclass(frozen=True, slots=True)
class _First(Generic[T]):
    at: float
    fingerprint: bytes
    size: int
    answer: "asyncio.Future[T]"


class IdempotencyKeys(Generic[T]):
    """The answers by key. ``monotonic`` counts seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._first: OrderedDict[tuple[str, ...], _First[T]] = OrderedDict()
        self._bytes = 0

    async def once(self, key: tuple[str, ...], body: bytes, do: Callable[[], Awaitable[T]]) -> T:
        """What ``do`` returned for this key, now or before. Only success is kept.

        Raises:
            Problem: 422, the key was used with another body.
        """
        self._forget_old()
        fingerprint = sha256(body).digest()
        while (first := self._first.get(key)) is not None:
            if first.fingerprint != fingerprint:
                raise used_for_another()
            await asyncio.wait([first.answer])
            if not first.answer.cancelled():
                return first.answer.result()
        mine: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._first[key] = _First(self._monotonic(), fingerprint, len(body), mine)
        self._bytes += len(body)
        try:
            answer = await do()
        except BaseException:
            self._forget(key)
            mine.cancel()
            raise
        mine.set_result(answer)
        return answer

    def _forget_old(self) -> None:
        before = self._monotonic() - KEPT.total_seconds()
        while self._first:
            key, first = next(iter(self._first.items()))
            few = len(self._first) < _MOST_KEYS and self._bytes < _MOST_BYTES
            if not first.answer.done() or (first.at > before and few):
                return
            self._forget(key)

    def _forget(self, key: tuple[str, ...]) -> None:
        self._bytes -= self._first.pop(key).size
