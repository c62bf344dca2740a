"""How far the consumer groups are behind: what two looks at a cluster, a moment apart, say."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from functools import cached_property
from typing import Any

from dispatcher.durations import milliseconds_of
from dispatcher.operations.consumers import Reader

Place = tuple[str, int]
"""A topic and a partition of it."""


class Level(IntEnum):
    """How bad something is."""

    FINE = 0
    NOTICE = 1
    PROBLEM = 2


@dataclass(frozen=True, slots=True)
class Look:
    """What a group has committed and where its partitions begin and end, at a moment (monotonic seconds).

    ``ready`` is where the records end that may be worked on: in retry topics those that are due, elsewhere all.
    """

    at: float
    committed: Mapping[Place, int]
    begins: Mapping[Place, int]
    ends: Mapping[Place, int]
    ready: Mapping[Place, int]

    def position(self, place: Place) -> int:
        """The offset of the record that is next; groups begin with the oldest record that there is."""
        begin = self.begins[place]
        return min(max(self.committed.get(place, begin), begin), self.ends[place])


@dataclass(frozen=True, slots=True)
class Membership:
    """Who is in a group; ``assigned`` has the member that each partition is given to, ``hosts`` its address."""

    state: str
    members: int
    assigned: Mapping[Place, str]
    hosts: Mapping[str, str] = field(default_factory=dict)

    @property
    def rebalancing(self) -> bool:
        """Whether partitions are being given out at this moment: nobody reads until that is done."""
        return self.state in {"PreparingRebalance", "CompletingRebalance"}


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One partition, or several together. Rates are records a second, ages seconds."""

    partition: int | None
    committed: int | None
    end: int | None
    lag: int
    """Records that the group has not done with."""
    not_due: int
    """Those of them that wait until they are due, in a retry topic."""
    lost: int
    """Records that retention removed before they were read."""
    oldest: float | None
    """Age of the oldest record that waits; in a retry topic, how overdue it is. None: nothing waits, or unknown."""
    arriving: float
    """Records a second that come, or come due."""
    done: float
    member: str | None = None
    host: str | None = None
    """Where the member runs, as Kafka sees it."""

    @property
    def behind(self) -> int:
        """Records that could be worked on now."""
        return self.lag - self.not_due

    @property
    def drains_in(self) -> float | None:
        """Seconds until nothing waits if all goes on as it does; None: never."""
        return drain_seconds(self.behind, self.arriving, self.done)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "lag": self.lag,
            "not_due": self.not_due,
            "behind": self.behind,
            "lost": self.lost,
            "oldest_seconds": self.oldest if self.oldest is None else round(self.oldest, 3),
            "arriving_per_second": round(self.arriving, 3),
            "done_per_second": round(self.done, 3),
            "drains_in_seconds": None if self.drains_in is None else round(self.drains_in, 3),
        }


@dataclass(frozen=True)
class TopicLag:
    """A topic as one group reads it."""

    topic: str
    partitions: tuple[PartitionLag, ...]
    members: int
    delay: timedelta | None
    """For a retry topic: how long its records wait."""
    patience: float
    """Seconds that a record may wait before anything is said about it."""

    @cached_property
    def total(self) -> PartitionLag:
        """All partitions together; the oldest of them."""
        ages = [each.oldest for each in self.partitions if each.oldest is not None]
        return PartitionLag(
            partition=None,
            committed=None,
            end=None,
            lag=sum(each.lag for each in self.partitions),
            not_due=sum(each.not_due for each in self.partitions),
            lost=sum(each.lost for each in self.partitions),
            oldest=max(ages, default=None),
            arriving=sum(each.arriving for each in self.partitions),
            done=sum(each.done for each in self.partitions),
        )

    @property
    def ages_known(self) -> bool:
        """Whether Kafka told in time, of each partition in which something waits, for how long it has."""
        return all(each.oldest is not None for each in self.partitions if each.behind)

    @property
    def unassigned(self) -> tuple[int, ...]:
        """Partitions that no member reads."""
        return tuple(each.partition for each in self.partitions if each.partition is not None and each.member is None)

    @property
    def stuck(self) -> tuple[int, ...]:
        """Partitions in which records have waited for long and none was done with."""
        return tuple(
            each.partition
            for each in self.partitions
            if each.partition is not None and each.behind and not each.done and (each.oldest or 0) > self.patience
        )

    @cached_property
    def verdict(self) -> tuple[Level, str]:
        """What to say of it, in words."""
        total = self.total
        late = total.behind > 0 and (total.oldest or 0) > self.patience
        unread = any(each.behind for each in self.partitions if each.member is None)
        number = len(self.partitions)
        stuck = f"nothing done in {_partitions(self.stuck)} of {number}"
        # The first that holds.
        cases = (
            (total.lost, Level.PROBLEM, f"{total.lost:,} lost: retention removed them before they were read"),
            (not self.members, Level.PROBLEM if total.behind else Level.NOTICE, "nobody reads it"),
            (
                self.unassigned,
                Level.PROBLEM if unread else Level.NOTICE,
                f"{_partitions(self.unassigned)} of {number} unassigned",
            ),
            (self.stuck, Level.PROBLEM, "stands still" if len(self.stuck) == number else stuck),
            (late and total.drains_in is None, Level.PROBLEM, "falls behind"),
            (late, Level.NOTICE, "is catching up"),
        )
        return next(((level, words) for holds, level, words in cases if holds), (Level.FINE, "fine"))

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        level, words = self.verdict
        return {
            "topic": self.topic,
            "delay_seconds": None if self.delay is None else self.delay.total_seconds(),
            "level": level.name.lower(),
            "verdict": words,
            **self.total.as_json(),
            "unassigned_partitions": list(self.unassigned),
            "partitions": [
                {
                    "partition": each.partition,
                    "committed": each.committed,
                    "end": each.end,
                    **each.as_json(),
                    "member": each.member,
                    "host": each.host,
                }
                for each in self.partitions
            ],
        }


@dataclass(frozen=True)
class GroupLag:
    """A consumer group and all that it reads."""

    reader: Reader
    membership: Membership
    topics: tuple[TopicLag, ...]

    @cached_property
    def verdict(self) -> tuple[Level, str]:
        """What to say of the group itself, and the worst of what is said of its topics."""
        worst = max((topic.verdict[0] for topic in self.topics), default=Level.FINE)
        if not self.membership.members:
            return max(worst, Level.NOTICE), f"no members: start `dispatcher run {self.reader.role}`"
        if self.membership.rebalancing:
            return max(worst, Level.NOTICE), "rebalancing"
        return worst, ""

    @property
    def behind(self) -> int:
        """Records that could be worked on now."""
        return sum(topic.total.behind for topic in self.topics)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        level, words = self.verdict
        return {
            "group": self.reader.group,
            "role": self.reader.role,
            "state": self.membership.state,
            "members": self.membership.members,
            "level": level.name.lower(),
            "verdict": words,
            "topics": [topic.as_json() for topic in self.topics],
        }


def drain_seconds(behind: int, arriving: float, done: float) -> float | None:
    """How long until nothing waits; None where it never ends at these rates."""
    if not behind:
        return 0.0
    # Sums of the same rates may differ by what floating point leaves.
    fewer = round(done - arriving, 6)
    return behind / fewer if fewer > 0 else None


def rate(before: int, after: int, seconds: float) -> float:
    """Records a second; offsets that went back, as in a reset, count as none."""
    return max(after - before, 0) / seconds if seconds > 0 else 0.0


def group_lag(
    reader: Reader,
    membership: Membership,
    looks: tuple[Look, Look],
    stamps: Mapping[Place, int],
    delays: Mapping[str, timedelta],
    now: float,
) -> GroupLag:
    """Put together what was seen of a group.

    ``stamps`` has the time of the record at a partition's position, ``now`` is the broker's time: both are milliseconds
    since the epoch.
    """
    last = looks[1]
    found = []
    for topic in reader.topics:
        places = sorted(place for place in last.ends if place[0] == topic)
        if places:
            delay = delays.get(topic)
            rows = tuple(_partition_lag(place, looks, membership, stamps.get(place), delay, now) for place in places)
            found.append(TopicLag(topic, rows, membership.members, delay, reader.patience))
    return GroupLag(reader, membership, tuple(sorted(found, key=_urgency, reverse=True)))


def worst_first(groups: Iterable[GroupLag]) -> list[GroupLag]:
    """The groups in the order in which somebody should look at them."""
    return sorted(groups, key=lambda group: (group.verdict[0], group.behind), reverse=True)


def _partition_lag(
    place: Place,
    looks: tuple[Look, Look],
    membership: Membership,
    stamp: int | None,
    delay: timedelta | None,
    now: float,
) -> PartitionLag:
    first, last = looks
    position, end = last.position(place), last.ends[place]
    ready = min(max(last.ready[place], position), end)
    committed = last.committed.get(place)
    waited_from = None if stamp is None else stamp + (milliseconds_of(delay) if delay is not None else 0)
    seconds = last.at - first.at
    was_there = place in first.ends
    member = membership.assigned.get(place)
    return PartitionLag(
        partition=place[1],
        committed=committed,
        end=end,
        lag=end - position,
        not_due=end - ready,
        lost=max(last.begins[place] - committed, 0) if committed is not None else 0,
        oldest=max(now - waited_from, 0) / 1000 if waited_from is not None and ready > position else None,
        arriving=rate(first.ready[place], last.ready[place], seconds) if was_there else 0.0,
        done=rate(first.position(place), position, seconds) if was_there else 0.0,
        member=member,
        host=None if member is None else membership.hosts.get(member),
    )


def _urgency(topic: TopicLag) -> tuple[int, int, float, int]:
    total = topic.total
    return topic.verdict[0], total.behind, total.oldest or 0, total.lag


def _partitions(numbers: Sequence[int]) -> str:
    listed = ", ".join(map(str, numbers[:5])) + (", …" if len(numbers) > 5 else "")
    return f"{'partition' if len(numbers) == 1 else 'partitions'} {listed}"
