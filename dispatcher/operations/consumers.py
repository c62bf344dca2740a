"""Which consumer groups there are, and which topics each of them reads."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from dispatcher.kafka.topics import Topics


@dataclass(frozen=True, slots=True)
class Reader:
    """A consumer group: the role that runs it, its name on the cluster, and the topics that it reads."""

    name: str
    role: str
    group: str
    topics: tuple[str, ...]


def readers(topics: Topics, present: Iterable[str]) -> tuple[Reader, ...]:
    """Every group, in the order in which what happens passes through them.

    ``present`` are the topics of the cluster: attempts may wait in the retry topics of an earlier schedule too.
    """
    retry = sorted(
        {*topics.retry.values(), *(name for name in present if topics.retry_delay(name))},
        key=lambda name: topics.retry_delay(name) or timedelta(),
    )
    of_roles: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        ("matcher", "matcher", tuple(topics.events.values())),
        ("sender", "sender", topics.to_send),
        ("relay", "relay", tuple(retry)),
        ("recorder", "recorder", (topics.attempts, topics.deliveries, topics.bulk)),
        ("portal", "portal", (topics.commands,)),
        ("erasure", "portal", (topics.commands,)),
        ("audit", "portal", (topics.config,)),
        ("disabled", "portal", (topics.config,)),
        ("inspection", "portal", (topics.config, topics.resources, topics.audit)),
    )
    return tuple(Reader(name, role, topics.group(name), read) for name, role, read in of_roles)
