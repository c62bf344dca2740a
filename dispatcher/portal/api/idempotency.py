"""``Idempotency-Key``: a request that is sent again gets the answer of the first time.

As draft-ietf-httpapi-idempotency-key-header-07 has it, but that a request which comes while the first is being
answered waits for that answer, instead of getting 409.

Kept in this process for a day, and for the last few thousand keys: a portal that restarts, or another one behind the
same address, does not know them.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Generic, TypeVar

from dispatcher.portal.api.problems import BadField, invalid

HEADER = "Idempotency-Key"
MAX_LENGTH = 255

_KEPT_SECONDS = 24 * 3600.0
_MOST_KEYS = 10_000

T = TypeVar("T")


def unquoted(key: str) -> str:
    """The key in the header: the draft's form is a string in quotes, and many programs send it without."""
    quoted = len(key) > 2 and key.startswith('"') and key.endswith('"')
    return key[1:-1] if quoted else key


@dataclass(frozen=True, slots=True)
class _First(Generic[T]):
    at: float
    fingerprint: bytes
    answer: "asyncio.Future[T]"


class IdempotencyKeys(Generic[T]):
    """The answers by key. ``monotonic`` counts seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._first: OrderedDict[tuple[str, ...], _First[T]] = OrderedDict()

    async def once(self, key: tuple[str, ...], body: bytes, do: Callable[[], Awaitable[T]]) -> T:
        """What ``do`` returned for this key, now or before. Only success is kept.

        Raises:
            Problem: 422, the key was used with another body.
        """
        self._forget_old()
        fingerprint = sha256(body).digest()
        while (first := self._first.get(key)) is not None:
            if first.fingerprint != fingerprint:
                raise invalid(
                    [BadField(field=HEADER, detail="was used for another request; use a new key for each request")]
                )
            await asyncio.wait([first.answer])
            if not first.answer.cancelled():
                return first.answer.result()
        mine: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._first[key] = _First(self._monotonic(), fingerprint, mine)
        try:
            answer = await do()
        except BaseException:
            del self._first[key]
            mine.cancel()
            raise
        mine.set_result(answer)
        return answer

    def _forget_old(self) -> None:
        before = self._monotonic() - _KEPT_SECONDS
        while self._first:
            key, first = next(iter(self._first.items()))
            if not first.answer.done() or (first.at > before and len(self._first) < _MOST_KEYS):
                return
            del self._first[key]
