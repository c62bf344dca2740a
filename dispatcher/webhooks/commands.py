"""The records of ``webhooks.commands``: what other roles ask the portal, the only writer of webhooks, to do."""

from collections.abc import Iterable

import orjson


def disable_command(webhook_id: str, reason: str, as_of: int) -> bytes:
    """Disable a webhook; people are shown ``reason``.

    ``as_of`` is when it became what was called, in milliseconds since the epoch: changed since, it is left alone.
    """
    return orjson.dumps({"v": 1, "command": "disable", "webhook_id": webhook_id, "reason": reason, "time": as_of})


def erase_command(organization_id: str, id: str, now: int) -> bytes:
    """Erase an organization; what was done is told in a notice with this ``id``.

    ``now`` is in milliseconds since the epoch.
    """
    return orjson.dumps({"v": 1, "command": "erase", "id": id, "organization_id": organization_id, "time": now})


def remove_command(webhook_id: str, now: int) -> bytes:
    """Delete a webhook, if the portal cannot read it. ``now`` as above."""
    return orjson.dumps({"v": 1, "command": "remove", "webhook_id": webhook_id, "time": now})


def recover_command(webhook_id: str, spans: Iterable[tuple[int, int]], now: int) -> bytes:
    """Send again what failed in these spans of time, each from one moment up to another. ``now`` as above."""
    listed = [{"since": since, "until": until} for since, until in spans]
    return orjson.dumps({"v": 1, "command": "recover", "webhook_id": webhook_id, "spans": listed, "time": now})
