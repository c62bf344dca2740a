"""The memory of attempts: what was made lately is not made again, whoever repeats it."""

from collections import deque
from datetime import timedelta

from dispatcher.durations import milliseconds_of

REMEMBERED = timedelta(minutes=10)
_SLICE = timedelta(minutes=1)
_SLICE_MS, _KEPT_MS = milliseconds_of(_SLICE), milliseconds_of(REMEMBERED + _SLICE)


def attempt_key(message_id: str, run: int, attempt: int) -> int:
    """A 64-bit hash of an attempt, of use within one process."""
    return hash((message_id, run, attempt))


class RecentAttempts:
    """Attempts of one partition to which something happened within the last ten minutes, to within a minute more.

    Times are milliseconds. A hash takes some 85 bytes (``python -m benchmarks.footprint``): 4,000 attempts a second are
    200 MB in ten minutes.
    """

    def __init__(self) -> None:
        self._slices: deque[tuple[int, int, set[int]]] = deque()
        """When it was, from when on it counts how long it is kept, and the attempts."""

    def __len__(self) -> int:
        return sum(len(keys) for *_, keys in self._slices)

    def has(self, key: int, at: int) -> bool:
        """Whether something happened to an attempt in the ten minutes before it was asked for ``at``, or later.

        Only ``add`` forgets: in a partition at rest there may be some from long before.
        """
        return any(key in keys and at - when < _KEPT_MS for when, _, keys in self._slices)

    def add(self, key: int, at: int, kept_since: int | None = None) -> None:
        """Remember an attempt to which something happened ``at``, and forget those from before ten minutes.

        It is kept for ten minutes from ``kept_since``, by default from ``at``: nobody may have been there to ask.
        """
        slices = self._slices
        if not slices or not 0 <= at - slices[-1][0] < _SLICE_MS:
            kept = at if kept_since is None else kept_since
            slices.append((at, kept, set()))
            while kept - slices[0][1] >= _KEPT_MS:
                slices.popleft()
        slices[-1][-1].add(key)

    def discard(self, key: int) -> None:
        """Forget an attempt, if it is remembered."""
        for *_, keys in self._slices:
            keys.discard(key)
