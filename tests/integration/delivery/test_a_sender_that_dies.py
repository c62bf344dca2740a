"""What a sender leaves undone when it dies is done by its successor."""

import asyncio
from typing import Any

import pytest

from dispatcher.delivery import sender as sender_role
from dispatcher.kafka.batching import BatchingProducer
from tests.support.delivering import Delivering
from tests.support.target import Target, fail_first
from tests.support.waiting import eventually


async def test_a_retry_that_was_not_written_is_written_by_who_takes_over(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()
    send, retries = BatchingProducer.send, set(delivering.topics.retry.values())

    def never_to_retry_topics(self: BatchingProducer, topic: str, partition: int, **record: Any) -> Any:
        if topic not in retries:
            return send(self, topic, partition, **record)
        asked.set()
        return asyncio.get_running_loop().create_future()

    monkeypatch.setattr(sender_role, "STOP_SECONDS", 0.5)
    await delivering.webhook("wh", target.url("in", fail_first(1)))
    await delivering.relay()
    with monkeypatch.context() as dying:
        dying.setattr(BatchingProducer, "send", never_to_retry_topics)
        sender = await delivering.sender()
        await delivering.deliver("wh", "msg_1")
        await asyncio.wait_for(asked.wait(), 30)
        await sender.stop()
    await delivering.sender()
    await eventually(lambda: [each.attempt for each in target.received][-1] == 2, timeout=30)
