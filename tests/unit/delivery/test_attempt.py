"""What a sender keeps of the webhooks that it has called."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from dispatcher.delivery import attempt
from dispatcher.delivery.attempt import AttemptMaker
from dispatcher.delivery.record import Delivery
from dispatcher.delivery.schedule import RetrySchedule
from dispatcher.delivery.target import Answer, Request, Target
from dispatcher.delivery.work import Work
from dispatcher.durations import parse_duration
from dispatcher.events.types import EventType
from dispatcher.kafka.clock import BrokerClock
from tests.support.webhooks import a_webhook


class Client:
    """Answers every call."""

    def __init__(self) -> None:
        self.called: list[Target] = []

    async def call(self, target: Target, _: Request) -> Answer:
        self.called.append(target)
        return Answer(failure=None, duration_ms=1, response_code=200)


def work(webhook_id: str) -> Work:
    delivery = Delivery(webhook_id, "org-contoso", EventType.ACTIVE_ALERT, "msg_1", 1, 1, 0, 0, "", b"{}")
    return Work(delivery, 1, 0, 0, "deliveries", 0, [])


async def test_targets_are_prepared_once_and_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "_TARGETS_AT_MOST", 3)
    webhooks = {f"wh-{number}": a_webhook(f"wh-{number}") for number in range(100)}
    directory = SimpleNamespace(next_offset=1, unreadable=(), get=webhooks.get)
    client = Client()
    maker = AttemptMaker(
        cast("Any", client),
        cast("Any", SimpleNamespace(directory=directory)),
        RetrySchedule((parse_duration("0s"),)),
        BrokerClock(),
    )
    for id in webhooks:
        await maker.make(work(id))
    await maker.make(work("wh-99"))
    assert client.called[-1] is client.called[-2]
    assert len(maker._targets) == 3
