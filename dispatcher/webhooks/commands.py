"""The records of ``webhooks.commands``: what other roles ask the portal, the only writer of webhooks, to do."""

import orjson


def disable_command(webhook_id: str, reason: str, now: int) -> bytes:
    """Disable a webhook; people are shown ``reason``. ``now`` is in milliseconds since the epoch."""
    return orjson.dumps({"v": 1, "command": "disable", "webhook_id": webhook_id, "reason": reason, "time": now})
