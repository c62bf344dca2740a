"""Every consumer group there is. ``operations/consumers.py`` says what each of them reads."""

from enum import StrEnum


class Group(StrEnum):
    """A group's name without prefix, in the order in which what happens passes through them."""

    MATCHER = "matcher"
    SENDER = "sender"
    RELAY = "relay"
    RECORDER = "recorder"
    PORTAL = "portal"
    RECOVERY = "recovery"
    ERASURE = "erasure"
    AUDIT = "audit"
    DISABLED = "disabled"
    INSPECTION = "inspection"
    DEAD_LETTERS = "dead-letters"
    """Whose only member is who sends dead letters again; it commits nothing."""
