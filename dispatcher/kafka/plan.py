"""What has to change so that a cluster has the topics that ``topics.yaml`` declares. Nothing here deletes anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dispatcher.durations import format_duration
from dispatcher.errors import ConfigurationError
from dispatcher.kafka.topics import Replication, Topic, Topics


@dataclass(frozen=True, slots=True)
class PresentTopic:
    """A topic as a cluster has it; ``config`` holds the values in force, defaults included."""

    partitions: int
    replication_factor: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a plan needs to know of a cluster: how many brokers it has, and its topics by name."""

    brokers: int
    topics: Mapping[str, PresentTopic]


@dataclass(frozen=True, slots=True)
class CreateTopic:
    """A declared topic that the cluster does not have."""

    topic: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]
    action = "create"

    def describe(self) -> str:
        """For people."""
        retention = self.config.get("retention.ms")
        kept = "compacted" if retention is None else f"kept for {_readable('retention.ms', retention)}"
        return f"{_count(self.partitions, 'partition')}, {_count(self.replication_factor, 'replica')}, {kept}"

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "topic": self.topic,
            "action": self.action,
            "partitions": self.partitions,
            "replication_factor": self.replication_factor,
            "config": dict(self.config),
        }


@dataclass(frozen=True, slots=True)
class AddPartitions:
    """A topic that has fewer partitions than declared."""

    topic: str
    present: int
    wanted: int
    action = "add partitions"

    def describe(self) -> str:
        """For people."""
        return f"{self.present} → {self.wanted}"

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {"topic": self.topic, "action": "add_partitions", "from": self.present, "to": self.wanted}


@dataclass(frozen=True, slots=True)
class AlterConfig:
    """Settings of a topic that are not as declared: what is in force, and what is wanted."""

    topic: str
    entries: Mapping[str, tuple[str | None, str]]
    action = "alter"

    @property
    def wanted(self) -> dict[str, str]:
        """The settings as they will be."""
        return {name: wanted for name, (_, wanted) in self.entries.items()}

    def describe(self) -> str:
        """For people."""
        parts = [
            f"{name} {_readable(name, present)} → {_readable(name, wanted)}"
            for name, (present, wanted) in self.entries.items()
        ]
        if self._keeps_less():
            parts.append("Kafka then removes the older records")
        return ", ".join(parts)

    def _keeps_less(self) -> bool:
        present, wanted = self.entries.get("retention.ms", (None, ""))
        return present is not None and _age(present) > _age(wanted)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        entries = {name: {"from": present, "to": wanted} for name, (present, wanted) in self.entries.items()}
        return {"topic": self.topic, "action": "alter_config", "config": entries}


Change = CreateTopic | AddPartitions | AlterConfig


@dataclass(frozen=True, slots=True)
class Drift:
    """A difference that is not put right by itself, and what a person can do about it."""

    topic: str
    problem: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Changes in the order in which they are to be made, and differences that are only told."""

    changes: tuple[Change, ...]
    drift: tuple[Drift, ...]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "changes": [change.as_json() for change in self.changes],
            "drift": [{"topic": drift.topic, "problem": drift.problem} for drift in self.drift],
        }


def plan(topics: Topics, cluster: Cluster) -> Plan:
    """Compare what is declared with what is there.

    Raises:
        ConfigurationError: the file asks for more replicas than the cluster has brokers.
    """
    replication = _replication(topics, cluster.brokers)
    changes: list[Change] = []
    drift: list[Drift] = []
    # Whoever takes a new partition of the deliveries reads the same partition of the others: it comes last.
    for topic in sorted(topics.declared, key=lambda topic: topic.name == topics.deliveries):
        config = {**topic.config, "min.insync.replicas": str(replication.min_insync_replicas)}
        present = cluster.topics.get(topic.name)
        if present is None:
            changes.append(CreateTopic(topic.name, topic.partitions, replication.replication_factor, config))
            continue
        if not topic.compacted and present.partitions < topic.partitions:
            changes.append(AddPartitions(topic.name, present.partitions, topic.partitions))
        entries = {
            name: (present.config.get(name), wanted)
            for name, wanted in config.items()
            if present.config.get(name) != wanted
        }
        if entries:
            changes.append(AlterConfig(topic.name, entries))
        drift += _drift(topic, present, replication)
    drift += _undeclared(topics, cluster)
    return Plan(tuple(changes), tuple(drift))


def _replication(topics: Topics, brokers: int) -> Replication:
    replication = topics.replication(brokers)
    if replication.replication_factor > brokers:
        raise ConfigurationError(
            f"replication in topics.yaml asks for {_count(replication.replication_factor, 'replica')} and the cluster "
            f"has {_count(brokers, 'broker')}: add brokers, or an entry for a cluster of {_count(brokers, 'broker')}"
        )
    if replication.min_insync_replicas > replication.replication_factor:
        raise ConfigurationError(
            f"replication in topics.yaml asks for min_insync_replicas {replication.min_insync_replicas} with "
            f"{_count(replication.replication_factor, 'replica')}: nothing could be written; lower it"
        )
    return replication


def _drift(topic: Topic, present: PresentTopic, replication: Replication) -> list[Drift]:
    found = []
    if topic.compacted and present.partitions != topic.partitions:
        found.append(
            f"has {_count(present.partitions, 'partition')}, and must have one, so that its records have one order: "
            "make the topic anew with one and copy its records there"
        )
    elif present.partitions > topic.partitions:
        found.append(
            f"has {_count(present.partitions, 'partition')}, {topic.partitions} are declared, and Kafka cannot take "
            "any away: declare as many in topics.yaml"
        )
    if present.replication_factor != replication.replication_factor:
        found.append(
            f"has {_count(present.replication_factor, 'replica')}, {replication.replication_factor} are declared: "
            "move its partitions with Kafka's kafka-reassign-partitions"
        )
    return [Drift(topic.name, problem) for problem in found]


def _undeclared(topics: Topics, cluster: Cluster) -> list[Drift]:
    declared = {topic.name for topic in topics.declared}
    ours = tuple(topics.prefix + family for family in ("portal.", "webhooks."))
    return [
        Drift(
            name,
            "is not in retry.schedule any more: attempts that wait there are still made when they come due"
            if name.startswith(f"{topics.prefix}webhooks.retry.")
            else "is not declared: it stays as it is",
        )
        for name in sorted(cluster.topics)
        if name.startswith(ours) and name not in declared
    ]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _age(retention: str) -> float:
    return float("inf") if retention == "-1" else float(retention)


def _readable(name: str, value: str | None) -> str:
    if value is None:
        return "(unset)"
    if not name.endswith(".ms") or not value.isdigit():
        return value
    days, rest = divmod(timedelta(milliseconds=int(value)), timedelta(days=1))
    parts = ([f"{days}d"] if days else []) + ([format_duration(rest)] if rest or not days else [])
    return " ".join(parts)
