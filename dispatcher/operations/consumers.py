"""Which topics each consumer group reads, and which role runs it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from dispatcher.kafka.groups import Group
from dispatcher.kafka.topics import Topics

_USUAL_PATIENCE = 30.0
_PATIENCE_WITH_COMMANDS = 600.0
"""One command may be to send a million messages again, or to erase them."""


NAMES = tuple(group.value for group in Group if group is not Group.DEAD_LETTERS)
"""Of every group that a role runs, whether it has something to read at the moment or not."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A consumer group: the role that runs it, its name on the cluster, and the topics that it reads."""

    name: str
    role: str
    group: str
    topics: tuple[str, ...]
    patience: float = _USUAL_PATIENCE
    """Seconds that a record may wait before anything is said about it."""


def readers(topics: Topics, present: Iterable[str]) -> tuple[Reader, ...]:
    """Every group that has work, in the order in which what happens passes through them.

    ``present`` are the topics of the cluster: attempts may wait in the retry topics of an earlier schedule too. Where
    there is none and the schedule has a single attempt, relays join no group, and nobody is missed there.
    """
    retry = sorted(
        {*topics.retry.values(), *(name for name in present if topics.retry_delay(name))},
        key=lambda name: topics.retry_delay(name) or timedelta(),
    )
    of_the_portal: dict[Group, tuple[str, ...]] = {
        Group.PORTAL: (topics.commands,),
        Group.RECOVERY: (topics.commands,),
        Group.ERASURE: (topics.commands,),
        Group.AUDIT: (topics.config,),
        Group.DISABLED: (topics.config,),
        Group.INSPECTION: (topics.config, topics.resources, topics.audit, topics.sessions),
    }
    read: dict[Group, tuple[str, ...]] = {
        Group.MATCHER: tuple(topics.events.values()),
        Group.SENDER: topics.to_send,
        Group.RELAY: tuple(retry),
        Group.RECORDER: (topics.attempts, topics.deliveries, topics.bulk),
        **of_the_portal,
    }
    slow = {Group.RECOVERY, Group.ERASURE}
    return tuple(
        Reader(
            name=group.value,
            role=(Group.PORTAL if group in of_the_portal else group).value,
            group=topics.group(group),
            topics=of_group,
            patience=_PATIENCE_WITH_COMMANDS if group in slow else _USUAL_PATIENCE,
        )
        for group, of_group in read.items()
        if of_group
    )
