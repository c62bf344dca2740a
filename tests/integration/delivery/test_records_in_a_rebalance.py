"""What a sender's fetch brings while it still learns what was made in its partitions."""

from typing import Any

import pytest
from aiokafka import TopicPartition

from dispatcher.delivery import sender as sender_role
from dispatcher.delivery.takeover import take_over
from dispatcher.kafka.polling import take_evenly
from tests.support.delivering import Delivering
from tests.support.target import Target
from tests.support.waiting import eventually


async def test_what_is_fetched_during_a_takeover_is_sent(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def take_patiently(*about: Any, **how: Any) -> Any:
        # So the fetch that waits when the rebalance begins is still waiting when the takeover does.
        return await take_evenly(*about, **how | {"timeout_ms": 30_000})

    monkeypatch.setattr(sender_role, "take_evenly", take_patiently)
    await delivering.webhook("wh", target.url("hook"))
    sender = await delivering.sender()
    await delivering.deliver("wh", "msg_before")
    await eventually(lambda: len(target.received) == 1)
    await eventually(lambda: not sender._executing)

    async def take_over_while_something_comes(*about: Any, **how: Any) -> None:
        await delivering.deliver("wh", "msg_during")

        async def fetched_past_it() -> bool:
            positions: dict[TopicPartition, int] = about[3]
            return any([await sender._consumer.position(tp) > position for tp, position in positions.items()])

        await eventually(fetched_past_it, what="the message is taken out of the fetched records")
        await take_over(*about, **how)

    monkeypatch.setattr(sender_role, "take_over", take_over_while_something_comes)
    sender._consumer._coordinator.request_rejoin()
    await eventually(lambda: [each.message_id for each in target.received] == ["msg_before", "msg_during"], timeout=30)
