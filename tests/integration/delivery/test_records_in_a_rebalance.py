"""What comes while a sender still learns what was made in its partitions."""

import asyncio
from typing import Any

import pytest

from dispatcher.delivery import sender as sender_role
from dispatcher.delivery.takeover import take_over
from dispatcher.kafka.polling import take_evenly
from tests.support.delivering import Delivering
from tests.support.target import Target
from tests.support.waiting import eventually


async def test_what_comes_during_a_takeover_is_sent(
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

    async def take_over_while_something_comes(*about: Any, **how: Any) -> Any:
        await delivering.deliver("wh", "msg_during")
        return await take_over(*about, **how)

    monkeypatch.setattr(sender_role, "take_over", take_over_while_something_comes)
    sender._consumer._coordinator.request_rejoin()
    await eventually(lambda: [each.message_id for each in target.received] == ["msg_before", "msg_during"], timeout=30)


async def test_a_takeover_may_take_longer_than_a_member_may_be_silent(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_back = asyncio.Event()

    async def take_over_for_long(*about: Any, **how: Any) -> Any:
        await read_back.wait()
        return await take_over(*about, **how)

    monkeypatch.setattr(sender_role, "take_over", take_over_for_long)
    await delivering.webhook("wh", target.url("hook"))
    sender = await delivering.sender()
    await delivering.deliver("wh", "msg_1")
    coordinator = sender._consumer._coordinator
    beats: list[bool] = []
    beat = coordinator._do_heartbeat

    async def count_the_beat() -> bool:
        beats.append(bool(await beat()))
        return beats[-1]

    monkeypatch.setattr(coordinator, "_do_heartbeat", count_the_beat)
    await eventually(lambda: len(beats) >= 2, timeout=20, what="heartbeats in the takeover")
    assert all(beats)
    assert not target.received
    read_back.set()
    await eventually(lambda: [each.message_id for each in target.received] == ["msg_1"])
