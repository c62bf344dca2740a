"""Keeps the metrics of the cluster: what waits in each consumer group, looked at every quarter of a minute."""

import asyncio
from collections.abc import MutableMapping

import structlog

from dispatcher.background import Background
from dispatcher.durations import format_duration
from dispatcher.errors import DispatcherError
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.observability import metrics
from dispatcher.operations.lag import GroupLag, TopicLag
from dispatcher.operations.lag_meter import LagMeter, Measured

log = structlog.get_logger()

_EVERY_SECONDS = 15.0

Ages = MutableMapping[tuple[str, str], float]
"""How long the oldest record has waited that a group could work on in a topic, as it was known last."""


class ClusterWatch(Background):
    """Measures what ``dispatcher lag`` shows; while Kafka does not answer, there is nothing to show."""

    def __init__(self, clients: KafkaClients, topics: Topics, *, every: float = _EVERY_SECONDS) -> None:
        # Prometheus has the rates from what it saw before.
        self._meter = LagMeter(clients, topics, seconds=0)
        self._every = every
        self._ages: Ages = {}

    async def _run(self) -> None:
        while True:
            try:
                show(await self._meter.measure(), self._ages)
            except DispatcherError as error:
                forget()
                log.warning("the groups' lag cannot be measured", error=str(error))
            await asyncio.sleep(self._every)


def show(measured: Measured, ages: Ages) -> None:
    """Have the metrics say what was measured, and nothing of what is not there any more; ``ages`` is kept up."""
    forget()
    for group in measured.groups:
        metrics.GROUP_MEMBERS.labels(group.reader.name).set(group.membership.members)
        for topic in group.topics:
            _show_topic(group, topic, ages)


def forget() -> None:
    """What was measured is not true any more."""
    for metric in metrics.OF_THE_CLUSTER:
        metric.clear()


def _show_topic(group: GroupLag, topic: TopicLag, ages: Ages) -> None:
    labels, total = (group.reader.name, topic.topic), topic.total
    age = _age(topic, ages.pop(labels, None))
    metrics.GROUP_LAG.labels(*labels).set(total.behind)
    metrics.GROUP_UNASSIGNED.labels(*labels).set(len(topic.unassigned))
    metrics.GROUP_LOST.labels(*labels).set(total.lost)
    if age is not None:
        ages[labels] = age
        metrics.GROUP_OLDEST_SECONDS.labels(*labels).set(age)
    if topic.delay is not None:
        delay = format_duration(topic.delay)
        metrics.RETRIES_WAITING.labels(delay).set(total.not_due)
        metrics.RETRIES_OVERDUE.labels(delay).set(total.behind)
        if age is not None:
            metrics.RETRIES_OVERDUE_SECONDS.labels(delay).set(age)


def _age(topic: TopicLag, before: float | None) -> float | None:
    """Seconds to show; None: nobody knows.

    What is not known counts as what it was: a 0 would begin the time anew that alerts wait, just when Kafka is slow.
    """
    if topic.ages_known:
        return topic.total.oldest or 0
    return max((age for age in (topic.total.oldest, before) if age is not None), default=None)
