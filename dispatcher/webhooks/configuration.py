"""When two webhooks are the same: one event type, target URL, selection of items and template."""

import json
from typing import Any

from dispatcher.webhooks.target_url import same_target
from dispatcher.webhooks.webhook import Items, Webhook


def same_configuration(one: Webhook, other: Webhook) -> bool:
    """Whether two webhooks of an organization would send the same messages to the same place."""
    return (
        one.event_type == other.event_type
        and same_target(one.target_url, other.target_url)
        and _same_items(one.items, other.items)
        and (one.payload_template is other.payload_template or _canonical(one) == _canonical(other))
    )


def _same_items(one: Items, other: Items) -> bool:
    return one.all == other.all and frozenset(one.ids) == frozenset(other.ids)


def _canonical(webhook: Webhook) -> str:
    return json.dumps(_comparable(webhook.payload_template), sort_keys=True)


def _comparable(value: Any) -> Any:
    # To JSON 1 and 1.0 are one number; True, which Python takes for both, is another value.
    if isinstance(value, dict):
        return {key: _comparable(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_comparable(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
