"""Slices of time: so long the matcher matches before others run, and so long it then pauses.

It pauses only while a flood is matched and others are around, and only as far as somebody else wants the processor: on
a small machine those are the broker and the sender, which all that is matched has to go through next.
"""

from math import inf

from dispatcher.delivery.courtesy import Courtesy, Others

SLICE_SECONDS = 0.002
LONGEST_PAUSE = 0.010

LITTLE = 0.5
"""Who has used up no more than this share of a burst is one of the others."""

_MUCH_SECONDS = 0.1
_ITS_OWN = 0.8


class Slices:
    """``now`` is in seconds of a monotonic clock, ``processor`` in seconds that this thread has had of a processor."""

    def __init__(self) -> None:
        self._courtesy = Courtesy(LONGEST_PAUSE)
        self._began = self._processor = 0.0
        self._much_at = -inf
        self._others = Others()

    def matched_little(self, webhook_id: str, now: float) -> None:
        """A message was matched for somebody who has little."""
        self._others.had_turn(webhook_id, now)

    def matched_much(self, webhook_id: str, now: float) -> None:
        """One of much at once was matched."""
        self._much_at = now
        self._others.has_much(webhook_id)

    def over(self, now: float) -> bool:
        """Whether others should run."""
        return now >= self._began + SLICE_SECONDS

    def pause(self, now: float, processor: float) -> float:
        """For how many seconds, when a slice is over."""
        if not self._others.around(now) or now - self._much_at > _MUCH_SECONDS:
            return 0.0
        self._courtesy.had_turn(now, strained=processor - self._processor < _ITS_OWN * (now - self._began))
        return self._courtesy.wait(now)

    def begin(self, now: float, processor: float) -> None:
        """The next slice begins."""
        self._began, self._processor = now, processor
