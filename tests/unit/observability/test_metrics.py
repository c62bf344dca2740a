import asyncio

import pytest
from prometheus_client import REGISTRY

from dispatcher.delivery.lanes import Lanes, Limits
from dispatcher.observability import metrics
from dispatcher.observability.event_loop import EventLoopWatch
from tests.support.waiting import eventually

IDS = {"webhook_id", "organization_id", "message_id", "organization", "webhook", "target_host", "url"}


def ours() -> list[tuple[str, tuple[str, ...]]]:
    return [(each._name, each._labelnames) for each in vars(metrics).values() if hasattr(each, "_labelnames")]


def test_no_label_grows_with_the_number_of_customers() -> None:
    assert len(ours()) > 30
    for name, labels in ours():
        assert name.startswith("dispatcher_")
        assert not IDS & set(labels)


def test_what_should_not_happen_is_shown_before_it_does() -> None:
    metrics.begin(["portal.test-begins"], ["relay", "sender", "portal"])
    assert REGISTRY.get_sample_value("dispatcher_dead_letters_total", {"topic": "portal.test-begins"}) == 0
    for reason in (metrics.TIMED_OUT, metrics.FAILED):
        labels = {"reason": reason}
        assert REGISTRY.get_sample_value("dispatcher_recorder_insert_failures_total", labels) is not None
        assert REGISTRY.get_sample_value("dispatcher_clickhouse_read_failures_total", labels) is not None
    for status in metrics.STATUS_CLASSES:
        assert REGISTRY.get_sample_value("dispatcher_http_responses_total", {"status": status}) is not None
    assert REGISTRY.get_sample_value("dispatcher_ready", {"role": "relay"}) == 0
    succeeded = {"status": "successful", "reason": ""}
    assert REGISTRY.get_sample_value("dispatcher_attempts_total", succeeded) is not None
    metrics.ready(["relay"])
    assert REGISTRY.get_sample_value("dispatcher_ready", {"role": "relay"}) == 1


class Work:
    size = 1
    of_much = False

    def __init__(self, webhook_id: str) -> None:
        self.webhook_id = webhook_id


def test_lanes_are_asked_when_somebody_looks() -> None:
    lanes: Lanes[Work] = Lanes(Limits(executing_at_first=1))
    metrics.show_lanes(lanes)
    for webhook_id in ("a", "a", "b"):
        lanes.add(Work(webhook_id))
    assert len(list(lanes.take(0.0))) == 2
    assert REGISTRY.get_sample_value("dispatcher_attempts_in_flight") == 2
    assert REGISTRY.get_sample_value("dispatcher_attempts_waiting") == 1
    assert REGISTRY.get_sample_value("dispatcher_lanes", {"speed": "fast"}) == 2
    lanes.look(5.0)
    assert REGISTRY.get_sample_value("dispatcher_lanes", {"speed": "slow"}) == 2
    assert REGISTRY.get_sample_value("dispatcher_lanes", {"speed": "fast"}) == 0


async def test_a_blocked_event_loop_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.observability.event_loop._EVERY_SECONDS", 0.001)
    before = REGISTRY.get_sample_value("dispatcher_event_loop_lag_seconds_count") or 0
    watch = EventLoopWatch()
    await watch.start()
    await eventually(
        lambda: (REGISTRY.get_sample_value("dispatcher_event_loop_lag_seconds_count") or 0) > before + 2, timeout=5
    )
    await watch.stop()
    await asyncio.wait_for(watch.wait(), 1)
