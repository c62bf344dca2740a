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
        and _same_json(one.payload_template, other.payload_template)
    )


def _same_items(one: Items, other: Items) -> bool:
    return one.all == other.all and frozenset(one.ids) == frozenset(other.ids)


def _same_json(one: Any, other: Any) -> bool:
    # Comparing and writing are quick, however large the values are; looking into each is not. What is compared takes 1
    # and 1.0 for one number, as JSON does, and True for 1 too, which is another value.
    return one == other and (json.dumps(one) == json.dumps(other) or _same_booleans(one, other))


def _same_booleans(one: Any, other: Any) -> bool:
    """Whether two values that are equal have booleans at the same places."""
    if isinstance(one, dict):
        return all(_same_booleans(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return all(map(_same_booleans, one, other))
    return isinstance(one, bool) == isinstance(other, bool)
