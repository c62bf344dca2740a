"""Which webhooks have much at once: what they have beyond a little goes to ``webhooks.bulk``, out of the others' way.

Records of a partition are read one after the other, so whoever is behind a flood waits until it has been read. In
``webhooks.deliveries`` nobody floods, and in ``webhooks.bulk`` nobody minds.
"""

from collections import OrderedDict

BURST = 50
PER_SECOND = 20.0
_KNOWN_AT_MOST = 100_000


class Pace:
    """A token bucket for each webhook. Times are seconds of one monotonic clock, passed in."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """When each bucket will be full again."""

    def exceeded(self, webhook_id: str, now: float) -> bool:
        """Whether another attempt of the webhook is beyond ``BURST`` at once and ``PER_SECOND`` from then on."""
        full_at = max(self._full_at.get(webhook_id, now), now) + 1 / PER_SECOND
        if full_at - now > BURST / PER_SECOND:
            return True
        self._full_at[webhook_id] = full_at
        self._full_at.move_to_end(webhook_id)
        if len(self._full_at) > _KNOWN_AT_MOST:
            self._full_at.popitem(last=False)
        return False

    def used(self, webhook_id: str, now: float) -> float:
        """How much of its burst a webhook has used up, from 0 to 1."""
        return max(self._full_at.get(webhook_id, now) - now, 0.0) * PER_SECOND / BURST
