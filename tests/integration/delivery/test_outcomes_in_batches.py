"""Outcomes of successes wait for others, and are told together: what stops, fails or changes hands meanwhile."""

from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import RequestTimedOutError
from prometheus_client import REGISTRY

from dispatcher.delivery import reports
from dispatcher.delivery.sender import Sender
from dispatcher.kafka.batching import Stored
from tests.support.delivering import Delivering
from tests.support.target import Target
from tests.support.waiting import eventually


def successes() -> float:
    return REGISTRY.get_sample_value("dispatcher_attempts_total", {"status": "successful", "reason": ""}) or 0


def waits_for_others(sender: Sender) -> bool:
    return bool(sender._executing) and all(work.reporting for work in sender._executing.values())


async def test_a_sender_that_stops_waits_for_what_waits(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    await delivering.webhook("wh", target.url("in"))
    with monkeypatch.context() as patch:
        patch.setattr(reports, "_LINGER_SECONDS", 3.0)  # less than a stop waits
        sender = await delivering.sender()
    await delivering.deliver("wh", "msg_1", "msg_2")
    await eventually(lambda: waits_for_others(sender) and len(target.received) == 2)
    await sender.stop()
    assert not sender._executing
    assert len(await delivering.outcomes(2)) == 2
    await delivering.sender()
    await delivering.deliver("wh", "msg_3")
    assert len(await delivering.outcomes(3)) == 3
    assert len(target.received) == 3


async def test_what_the_broker_refuses_is_told_again_and_counted_once(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, send_batch = list[str](), AIOKafkaProducer.send_batch

    async def refusing_first(self: Any, batch: Any, topic: str, *, partition: int) -> Any:
        if topic == delivering.topics.attempts and not refused:
            refused.append(topic)
            raise RequestTimedOutError
        return await send_batch(self, batch, topic, partition=partition)

    monkeypatch.setattr(AIOKafkaProducer, "send_batch", refusing_first)
    before = successes()
    await delivering.webhook("wh", target.url("in"))
    sender = await delivering.sender()
    await delivering.deliver("wh", "msg_1", "msg_2", "msg_3")
    assert {outcome["message_id"] for outcome in await delivering.outcomes(3)} == {"msg_1", "msg_2", "msg_3"}
    await eventually(lambda: not sender._executing)
    assert refused
    assert len(await delivering.outcomes(3)) == len(target.received) == 3
    assert successes() - before == 3


async def test_what_is_given_up_while_it_waits_is_over(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "_LINGER_SECONDS", 60.0)
    monkeypatch.setattr("dispatcher.delivery.sender.STOP_SECONDS", 0.1)
    await delivering.webhook("wh", target.url("in"))
    sender = await delivering.sender()
    await delivering.deliver("wh", "msg_1")
    await eventually(lambda: waits_for_others(sender))
    [work] = sender._executing.values()
    assert work.task is not None
    assert work.task.done()
    await sender.stop()
    assert not sender._executing
    assert sender._unreported_bytes == 0
    for became in (Stored(0, 0), RequestTimedOutError()):  # as its batch ends after all
        sender._told(work, None, {}, became)  # type: ignore[typeddict-item]
    assert not sender._executing
