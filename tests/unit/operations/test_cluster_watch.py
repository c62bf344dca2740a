"""What the metrics say of ages that Kafka does not tell in time."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from dispatcher.operations.cluster_watch import forget, show
from dispatcher.operations.consumers import Reader
from dispatcher.operations.lag import GroupLag, Membership, PartitionLag, TopicLag
from dispatcher.operations.lag_meter import Measured

TOPIC = "webhooks.retry.5m"
DELAY = timedelta(minutes=5)


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    forget()


def measured(*partitions: tuple[int, float | None]) -> Measured:
    """Of each partition, how much waits and for how long."""
    rows = tuple(
        PartitionLag(number, 0, behind, behind, 0, 0, oldest, 0.0, 0.0)
        for number, (behind, oldest) in enumerate(partitions)
    )
    topic = TopicLag(TOPIC, rows, 1, DELAY, 60.0)
    reader = Reader("relay", "relay", "webhooks.relay", (TOPIC,))
    return Measured(0, None, (GroupLag(reader, Membership("Stable", 1, {}), (topic,)),), ())


def shown() -> float | None:
    age = REGISTRY.get_sample_value("dispatcher_group_oldest_seconds", {"group": "relay", "topic": TOPIC})
    assert REGISTRY.get_sample_value("dispatcher_retries_overdue_seconds", {"delay": "5m"}) == age
    return age


def test_an_age_that_is_not_told_is_what_it_was_and_never_nothing() -> None:
    ages: dict[tuple[str, str], float] = {}
    show(measured((3, None)), ages)
    assert shown() is None
    assert REGISTRY.get_sample_value("dispatcher_retries_overdue", {"delay": "5m"}) == 3
    show(measured((3, 90.0), (1, 20.0)), ages)
    assert shown() == 90
    show(measured((3, None), (1, 35.0)), ages)
    assert shown() == 90
    show(measured((3, None), (1, 120.0)), ages)
    assert shown() == 120
    show(measured((0, None), (1, 10.0)), ages)
    assert shown() == 10
    show(measured((0, None), (0, None)), ages)
    assert shown() == 0
    show(measured((3, None)), ages)
    assert shown() == 0
