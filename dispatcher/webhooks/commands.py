"""The records of ``webhooks.commands``: what other roles ask the portal, the only writer of webhooks, to do."""

from collections.abc import Iterable

import orjson


def disable_command(webhook_id: str, reason: str, now: int) -> bytes:
    """Disable a webhook; people are shown ``reason``. ``now`` is in milliseconds since the epoch."""
    return orjson.dumps({"v": 1, "command": "disable", "webhook_id": webhook_id, "reason": reason, "time": now})


def erase_command(organization_id: str, id: str, now: int) -> bytes:
    """Erase an organization; what was done is told in a notice with this ``id``. ``now`` as above."""
    return orjson.dumps({"v": 1, "command": "erase", "id": id, "organization_id": organization_id, "time": now})


def recover_command(webhook_id: str, spans: Iterable[tuple[int, int]], now: int) -> bytes:
    """Send again what failed in these spans of time, each from one moment up to another. ``now`` as above."""
    listed = [{"since": since, "until": until} for since, until in spans]
    return orjson.dumps({"v": 1, "command": "recover", "webhook_id": webhook_id, "spans": listed, "time": now})
