"""Logs that have lost their ends, as after a power cut: more is committed of them than there is."""

from dispatcher.kafka.groups import Group
from tests.support.delivering import Delivering
from tests.support.kafka import commit_beyond_ends
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
