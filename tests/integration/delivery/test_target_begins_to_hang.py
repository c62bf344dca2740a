"""Of a target that was well a moment ago much may be at hand when it begins to hang."""

import asyncio
from collections import Counter
from functools import partial

import pytest
from aiohttp import web

from dispatcher.delivery import sender
from dispatcher.delivery.lanes import Limits
from dispatcher.kafka.administration import connected
from dispatcher.kafka.groups import Group
from tests.support.delivering import Delivering
from tests.support.kafka import consume_all
from tests.support.target import Received, Target
from tests.support.waiting import eventually


async def test_what_was_at_hand_holds_no_offset_and_is_sent_once(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "Limits", partial(Limits, slow_seconds=0.2, waiting_seconds=0.5))
    clients, topics = delivering.clients, delivering.topics
    goes_on = asyncio.Event()

    async def hang_at_first(_: Received) -> web.StreamResponse:
        await goes_on.wait()
        return web.Response()

    await delivering.webhook("wh", target.url("in", hang_at_first))
    messages = [f"msg_{number}" for number in range(300)]
    await delivering.deliver("wh", *messages, topic=topics.bulk)
    await delivering.sender()
    await eventually(lambda: len(target.received) == 10)

    async def all_but_those_with_a_place_are_parked() -> bool:
        parked = {dict(record.headers)["message"].decode() for record in await consume_all(clients, topics.parked)}
        return parked >= set(messages[20:])

    await eventually(all_but_those_with_a_place_are_parked)
    goes_on.set()
    await eventually(lambda: {each.message_id for each in target.received} == set(messages))
    await delivering.outcomes(len(messages))
    assert Counter(each.message_id for each in target.received) == Counter(messages)

    async def everything_is_committed() -> bool:
        async with connected(clients) as admin:
            offsets = await admin.list_consumer_group_offsets(topics.group(Group.SENDER))
        committed: int = sum(each.offset for tp, each in offsets.items() if tp.topic == topics.bulk)
        return committed == len(messages)

    await eventually(everything_is_committed)
