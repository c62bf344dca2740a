"""Where an organization's data is kept, and when the bytes of what was erased are gone from the disks."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from dispatcher.kafka.topics import Topics

_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Store:
    """One place. ``gone`` says when and by what the bytes disappear, counted from the erasure."""

    name: str
    holds: str
    now: str
    gone: str

    def as_json(self) -> dict[str, str]:
        """For programs."""
        return asdict(self)


def stores(topics: Topics) -> Iterator[Store]:
    """Every place, with what stands in ``topics.yaml`` about it."""
    declared = {topic.name: topic.config for topic in topics.declared}

    def kept(*names: str) -> str:
        longest = max(int(declared[name]["retention.ms"]) + int(declared[name]["segment.ms"]) for name in names)
        return f"by retention, within {_days(longest)}"

    def compacted(name: str) -> str:
        lag = _days(int(declared[name]["max.compaction.lag.ms"]))
        return f"by compaction, when its segment is {lag} old and something else has been written to the topic"

    yield Store(topics.config, "webhooks, encrypted", "deleted", compacted(topics.config))
    yield Store(topics.resources, "what webhooks can be limited to", "deleted", compacted(topics.resources))
    yield Store(
        "ClickHouse", "messages, attempts, bodies, answers", "deleted", "within 10 minutes, with inactive parts"
    )
    names = f"{topics.deliveries}, .bulk, .parked, .retry.*"
    waiting = kept(*topics.to_send, *topics.retry.values())
    yield Store(names, "bodies that wait", "will never be sent", waiting)
    yield Store(topics.attempts, "outcomes, answers", "not recorded any more", kept(topics.attempts))
    events = tuple(topics.events.values())
    yield Store(f"{topics.prefix}portal.* (events)", "events", "match no webhook", kept(*events))
    yield Store(topics.dead_letter, "records that could not be read", "kept", kept(topics.dead_letter))
    yield Store(topics.notices, "messages that failed, this erasure", "kept", kept(topics.notices))
    yield Store(topics.commands, "this request", "kept", kept(topics.commands))
    names = "who changed what, with names of people and webhooks"
    yield Store(topics.audit, names, "kept as evidence, not shown any more", kept(topics.audit))
    yield Store("portals' memory", "answers by Idempotency-Key", "kept", "within a day, or at the portal's restart")


def _days(milliseconds: int) -> str:
    days = -(-milliseconds // _DAY_MS)
    return "a day" if days == 1 else f"{days} days"
