"""What is parked, and is known already, is told from what has to wait for room in its lane."""

from collections import Counter

from tests.support.delivering import Delivering
from tests.support.kafka import consume_all
from tests.support.target import Target
from tests.support.waiting import eventually

RATE = 30.0
MESSAGES = [f"msg_{number}" for number in range(95)]
"""Fewer than are parked, and for a second and a half too many to let parked ones back in."""


async def test_copies_of_what_was_made_and_of_what_waits_are_neither_sent_nor_parked_again(
    delivering: Delivering, target: Target
) -> None:
    clients, topics = delivering.clients, delivering.topics
    await delivering.webhook("wh", target.url("in"), rate_limit=RATE)
    await delivering.sender()
    await delivering.deliver("wh", *MESSAGES)
    await eventually(lambda: target.received)
    made, waits = target.received[0].message_id, MESSAGES[-1]
    await delivering.deliver("wh", made, waits, "msg_parked", topic=topics.parked)
    expected = {*MESSAGES, "msg_parked"}
    await eventually(lambda: {each.message_id for each in target.received} == expected)
    assert Counter(each.message_id for each in target.received) == Counter(expected)
    parked = Counter(dict(record.headers)["message"].decode() for record in await consume_all(clients, topics.parked))
    assert (parked[made], parked[waits]) == (1, 1)
