"""What a sender keeps of the webhooks that it has called, and what becomes of messages whose webhook it cannot read."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import ConsumerRecord
from cryptography.fernet import Fernet

from dispatcher.delivery import attempt
from dispatcher.delivery.attempt import AttemptMaker
from dispatcher.delivery.record import Delivery
from dispatcher.delivery.schedule import RetrySchedule
from dispatcher.delivery.target import Answer, Request, Target
from dispatcher.delivery.work import Work
from dispatcher.durations import parse_duration
from dispatcher.events.types import EventType
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.clock import BrokerClock
from dispatcher.kafka.topics import load_topics
from dispatcher.settings import Settings, default_topics_file
from dispatcher.webhooks.change import Place, write_webhook
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.vault import Vault
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
    directory = SimpleNamespace(next_offset=1, get=webhooks.get)
    client = Client()
    maker = AttemptMaker(
        cast("Any", client),
        cast("Any", SimpleNamespace(directory=directory, is_unreadable=lambda _: False)),
        RetrySchedule((parse_duration("0s"),)),
        BrokerClock(),
    )
    for id in webhooks:
        await maker.make(work(id))
    await maker.make(work("wh-99"))
    assert client.called[-1] is client.called[-2]
    assert len(maker._targets) == 3


@pytest.mark.parametrize("known", [False, True], ids=["never read", "read before"])
async def test_a_webhook_of_a_newer_format_is_tried_again_and_not_taken_for_deleted(known: bool) -> None:
    clients = KafkaClients(Settings(kafka_bootstrap_servers="127.0.0.1:1"))
    vault = Vault(Fernet.generate_key().decode())
    follower = ConfigFollower(clients, load_topics(default_topics_file()), vault)
    place, client = Place("wh-1", 1, 0), Client()
    if known:
        follower._apply(a_change(0, write_webhook(a_webhook("wh-1"), vault), place.headers()))
    follower._apply(a_change(1, b"of tomorrow", [("v", b"2")]))
    schedule = RetrySchedule((parse_duration("0s"), parse_duration("5s")))
    conclusion = await AttemptMaker(cast("Any", client), follower, schedule, BrokerClock()).make(work("wh-1"))
    assert conclusion.outcome["reason"] == "webhook_unreadable"
    assert conclusion.retry is not None
    assert client.called == []


def a_change(offset: int, value: bytes | None, headers: list[tuple[str, bytes]]) -> ConsumerRecord:
    return ConsumerRecord("webhooks.config", 0, offset, 0, 0, b"wh-1", value, None, 4, len(value or b""), headers)
