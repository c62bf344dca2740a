"""What is parked, and is known already, is told from what has to wait for room in its lane."""

from collections import Counter
from datetime import timedelta

import pytest

from dispatcher.delivery import memory, takeover
from dispatcher.observability.metrics import DUPLICATES
from dispatcher.webhooks.store import FIRST_REVISION
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


async def test_what_was_moved_is_sent_once_whoever_goes_on_with_it(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is moved from behind an unfinished record is not committed: the next sender reads it in both places."""
    for module in (memory, takeover):
        monkeypatch.setattr(module, "REMEMBERED", timedelta(seconds=1))
    monkeypatch.setattr(memory, "_SLICE", timedelta(seconds=0.1))
    clients, topics = delivering.clients, delivering.topics
    webhook = await delivering.webhook("wh", target.url("in"), rate_limit=2.0)
    sender = await delivering.sender()
    messages = [f"msg_{number}" for number in range(300)]
    await delivering.deliver("wh", *messages)

    async def many_were_moved() -> bool:
        return len(await consume_all(clients, topics.parked)) > len(messages) + 100

    await eventually(many_were_moved)
    await sender.stop()
    await delivering.store.replace(webhook.model_copy(update={"rate_limit": 100.0}), based_on=FIRST_REVISION)
    await delivering.sender()
    await eventually(lambda: {each.message_id for each in target.received} == set(messages))
    await delivering.outcomes(len(messages))
    assert Counter(each.message_id for each in target.received) == Counter(messages)


async def test_what_is_parked_is_not_overtaken_by_its_repetition(delivering: Delivering, target: Target) -> None:
    """It would be sent once more when it comes back, if more than ten minutes lay between."""
    clients, topics = delivering.clients, delivering.topics
    await delivering.webhook("wh", target.url("in"), rate_limit=50.0)
    await delivering.sender()
    messages = [f"msg_{number}" for number in range(400)]
    await delivering.deliver("wh", *messages)

    async def the_last_one_is_parked() -> bool:
        parked = await consume_all(clients, topics.parked)
        return messages[-1] in {dict(record.headers)["message"].decode() for record in parked}

    await eventually(the_last_one_is_parked)
    await eventually(lambda: len(target.received) >= 60)  # now there is room for another one
    before = DUPLICATES._value.get()
    await delivering.deliver("wh", messages[-1])
    await eventually(lambda: DUPLICATES._value.get() == before + 1)
    assert messages[-1] not in {each.message_id for each in target.received}
    await eventually(lambda: {each.message_id for each in target.received} == set(messages), timeout=20)
    await delivering.outcomes(len(messages))
    assert Counter(each.message_id for each in target.received) == Counter(messages)
