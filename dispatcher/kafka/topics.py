"""``topics.yaml``: which topics there are, their settings, and the retry schedule that the delay topics follow from."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dispatcher.delivery.schedule import RetrySchedule
from dispatcher.durations import Duration, format_duration, milliseconds_of, parse_duration
from dispatcher.errors import ConfigurationError
from dispatcher.events.types import DESCRIPTIONS, EventType
from dispatcher.kafka.clients import MAX_REQUEST_BYTES
from dispatcher.kafka.groups import Group
from dispatcher.portal.ended_sessions import LONGEST_SESSION
from dispatcher.settings import default_topics_file
from dispatcher.validation import problems_of


class _Loader(yaml.SafeLoader):
    """What is no value of the type that it looks like, such as the date 2026-13-45, is told with its place."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:
            raise yaml.constructor.ConstructorError(
                None, None, f"{node.value!r} is no {node.tag.rpartition(':')[2]}", node.start_mark
            ) from error


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Replication(_Section):
    """How often each record is kept on clusters of at least this many brokers."""

    brokers: int = Field(ge=1)
    replication_factor: int = Field(ge=1)
    min_insync_replicas: int = Field(ge=1)


class _Retry(_Section):
    schedule: tuple[Duration, ...]

    @field_validator("schedule")
    @classmethod
    def _is_a_schedule(cls, value: tuple[Duration, ...]) -> tuple[Duration, ...]:
        RetrySchedule(value)
        return value


class _Kept(_Section):
    partitions: int = Field(ge=1)
    retention: Duration


class _Deliveries(_Kept):
    retry_margin: Duration = parse_duration("7d")


class _Compacted(_Section):
    min_compaction_lag: Duration = parse_duration("0s")
    max_compaction_lag: Duration = parse_duration("1d")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max_compaction_lag < self.min_compaction_lag:
            raise ValueError("max_compaction_lag is at least min_compaction_lag")
        return self


class _Sessions(_Section):
    # What was forgotten before the session itself has ended would let it in again.
    retention: Duration = Field(default=parse_duration("9h"), ge=LONGEST_SESSION)


class _TopicsFile(_Section):
    retry: _Retry
    replication: tuple[Replication, ...] = Field(min_length=1)
    events: _Kept
    deliveries: _Deliveries
    compacted: dict[str, _Compacted]
    others: dict[str, _Kept]
    # It may be left out, so that one file serves this version and those before it.
    sessions: _Sessions = _Sessions()


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it should be."""

    name: str
    partitions: int
    config: dict[str, str]

    @property
    def compacted(self) -> bool:
        """Whether Kafka keeps the last record of each key for ever."""
        return self.config["cleanup.policy"] == "compact"


class Topics:
    """The topics by what they are for, under the names that they have on the cluster."""

    def __init__(self, file: _TopicsFile, prefix: str = "") -> None:
        self._file = file
        self.prefix = prefix
        self.schedule = RetrySchedule(file.retry.schedule)
        self.events = {event_type: prefix + about.topic for event_type, about in DESCRIPTIONS.items()}
        self.resources = f"{prefix}portal.resources"
        self.config = f"{prefix}webhooks.config"
        self.commands = f"{prefix}webhooks.commands"
        self.deliveries = f"{prefix}webhooks.deliveries"
        self.bulk = f"{prefix}webhooks.bulk"
        self.parked = f"{prefix}webhooks.parked"
        self.retry = {delay: f"{prefix}webhooks.retry.{format_duration(delay)}" for delay in self.schedule.waits}
        self.attempts = f"{prefix}webhooks.attempts"
        self.notices = f"{prefix}webhooks.notices"
        self.audit = f"{prefix}webhooks.audit"
        self.dead_letter = f"{prefix}webhooks.dead-letter"
        self.sessions = f"{prefix}webhooks.sessions"

    @property
    def delivery_partitions(self) -> int:
        """How many partitions each of ``of_deliveries`` has, as declared."""
        return self._file.deliveries.partitions

    @property
    def to_send(self) -> tuple[str, ...]:
        """What senders read: attempts to make now."""
        return self.deliveries, self.bulk, self.parked

    @property
    def of_deliveries(self) -> tuple[str, ...]:
        """The topics that have equally many partitions: a delivery stays in the same one of each."""
        return *self.to_send, self.attempts, *self.retry.values()

    def group(self, group: Group) -> str:
        """A consumer group under the name that it has on the cluster."""
        return f"{self.prefix}webhooks.{group}"

    def retry_delay(self, topic: str) -> timedelta | None:
        """How long attempts wait in a retry topic, of this schedule or of another one; None for any other topic."""
        name = topic.removeprefix(f"{self.prefix}webhooks.retry.")
        try:
            return parse_duration(name) if name != topic else None
        except ValueError:
            return None

    def event_type(self, topic: str) -> EventType:
        """The type whose events Portal publishes to ``topic``."""
        return next(event_type for event_type, name in self.events.items() if name == topic)

    def replication(self, brokers: int) -> Replication:
        """The replication for a cluster of this size."""
        reached = [entry for entry in self._file.replication if entry.brokers <= brokers]
        return max(reached or self._file.replication[:1], key=lambda entry: entry.brokers)

    @cached_property
    def declared(self) -> tuple[Topic, ...]:
        """Every topic, without the settings that depend on the cluster's size."""
        file = self._file
        of_deliveries = (*self.to_send, self.attempts)
        return (
            *(_kept(name, file.events.partitions, file.events.retention) for name in self.events.values()),
            *(_kept(name, file.deliveries.partitions, file.deliveries.retention) for name in of_deliveries),
            *(
                _kept(name, file.deliveries.partitions, delay + file.deliveries.retry_margin)
                for delay, name in self.retry.items()
            ),
            *(_compacted(self.prefix + name, about) for name, about in file.compacted.items()),
            *(_kept(self.prefix + name, about.partitions, about.retention) for name, about in file.others.items()),
            _kept(self.sessions, 1, file.sessions.retention),
        )


def _kept(name: str, partitions: int, retention: Duration) -> Topic:
    return Topic(
        name,
        partitions,
        {**_EVERY_TOPIC, "cleanup.policy": "delete", "retention.ms": str(milliseconds_of(retention))},
    )


def _compacted(name: str, about: _Compacted) -> Topic:
    lags = {
        "min.compaction.lag.ms": str(milliseconds_of(about.min_compaction_lag)),
        "max.compaction.lag.ms": str(milliseconds_of(about.max_compaction_lag)),
    }
    return Topic(name, 1, {**_EVERY_TOPIC, "cleanup.policy": "compact", **lags})


_EVERY_TOPIC = {
    # A batch of one record of the largest size is larger than the record.
    "max.message.bytes": str(MAX_REQUEST_BYTES),
    "message.timestamp.type": "LogAppendTime",
    # Kafka deletes, and compacts, whole segments that nothing is written to any more: what is too old, or was erased,
    # stays up to this much longer.
    "segment.ms": str(milliseconds_of(parse_duration("1d"))),
}

_NEEDED = {
    "compacted": ("portal.resources", "webhooks.config"),
    "others": ("webhooks.commands", "webhooks.notices", "webhooks.audit", "webhooks.dead-letter"),
}


def load_topics(path: Path, prefix: str = "") -> Topics:
    """Read ``topics.yaml``.

    Raises:
        ConfigurationError: the file is missing or says something that cannot be; the message says where.
    """
    named = f"DISPATCHER_TOPICS_FILE: {path}"
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - it is a safe one
    except OSError as error:
        raise ConfigurationError(f"{named} cannot be read ({error.strerror}); put a topics.yaml there") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{named} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        needed = [name for name, section in _TopicsFile.model_fields.items() if section.is_required()]
        raise ConfigurationError(
            f"{named} {'is empty' if content is None else 'does not hold sections'}: it needs the sections "
            f"{', '.join(needed)}, as {default_topics_file()} has them"
        )
    try:
        file = _TopicsFile.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in where) or 'the file'}: {what}" for where, what in problems_of(error)
        )
        raise ConfigurationError(f"{named}: {problems}") from None
    for section, names in _NEEDED.items():
        given = set(getattr(file, section))
        if given != set(names):
            raise ConfigurationError(f"{named}: {section} declares exactly {', '.join(names)}")
    return Topics(file, prefix)
