"""Logs that have lost their ends, as after a power cut: more is committed of them than there is."""

from datetime import timedelta

import pytest

from dispatcher.delivery import memory, takeover
from dispatcher.kafka.groups import Group
from tests.support.delivering import Delivering
from tests.support.kafka import commit_beyond_ends, consume_all
from tests.support.target import Target, fail_first
from tests.support.waiting import eventually


async def test_what_comes_next_is_sent_and_what_came_before_is_not_sent_again(
    delivering: Delivering, target: Target
) -> None:
    clients, topics = delivering.clients, delivering.topics
    await delivering.webhook("wh", target.url("heals", fail_first(1)))
    sender = await delivering.sender()
    await delivering.relay()
    await delivering.deliver("wh", "msg_1")
    await eventually(lambda: len(target.received) == 2)
    await delivering.outcomes(2)
    await sender.stop()
    await commit_beyond_ends(clients, topics.group(Group.SENDER), topics.deliveries)
    await delivering.sender()
    await delivering.deliver("wh", "msg_2")
    await delivering.outcomes(4)
    assert [(each.message_id, each.attempt) for each in target.received] == [
        (message, attempt) for message in ("msg_1", "msg_2") for attempt in (1, 2)
    ]


async def test_an_outcome_of_long_ago_hides_nothing_but_its_own_attempt(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``webhooks.attempts`` kept its end, and tells of a record where now stands another."""
    for module in (memory, takeover):
        monkeypatch.setattr(module, "REMEMBERED", timedelta(0))
    monkeypatch.setattr(memory, "_SLICE", timedelta(0))
    topics = delivering.topics
    await delivering.webhook("wh", target.url("in"))
    sender = await delivering.sender()
    await delivering.deliver("wh", "msg_1")
    await delivering.outcomes(1)
    await sender.stop()
    (outcome,) = await consume_all(delivering.clients, topics.attempts)
    headers = [(name, b"1" if name == "offset" else value) for name, value in outcome.headers]
    async with delivering.clients.producer() as producer:
        await producer.send_and_wait(
            topics.attempts, outcome.value, key=outcome.key, partition=outcome.partition, headers=headers
        )
    await delivering.deliver("wh", "msg_2")
    await delivering.sender()
    await eventually(lambda: [each.message_id for each in target.received] == ["msg_1", "msg_2"])
