"""Sending a message again, and again when Kafka did not take it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaTimeoutError

from dispatcher.delivery.outcome import Status
from dispatcher.portal.resending import Resender, StillPending
from dispatcher.recording.history import Attempt, Message
from tests.support.webhooks import a_webhook

THEN = datetime(2026, 11, 23, 10, tzinfo=UTC)
MESSAGE = Message("msg_1", "failed", 1, 8, THEN, THEN, "active_alert", "")
WEBHOOK = a_webhook()


class Producer:
    """Refuses as often as told, then takes everything."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.runs: list[bytes] = []

    async def send(self, *_: str, headers: list[tuple[str, bytes]], **__: object) -> "asyncio.Future[None]":
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.refusals:
            self.refusals -= 1
            asyncio.get_running_loop().call_soon(answer.set_exception, KafkaTimeoutError())
        else:
            self.runs.append(dict(headers)["run"])
            answer.set_result(None)
        return answer


def resender(producer: Producer, message: Message = MESSAGE, latest: Status = "failed") -> Resender:
    async def known(*_: str) -> Message:
        return message

    async def attempts(*_: str) -> Sequence[Attempt]:
        made = Attempt("msg_1", message.runs, 1, latest, None, None, None, "", None)
        return [made, replace(made, run=1, status="successful")]

    async def body(*_: str) -> bytes:
        return b"{}"

    return Resender(
        SimpleNamespace(message=known, attempts_of_message=attempts, body=body),
        cast("Any", SimpleNamespace(next_offset=0)),
        cast("Any", producer),
        cast("Any", SimpleNamespace(deliveries="deliveries", bulk="bulk")),
        lambda: 0.0,
    )


async def test_what_was_queued_is_pending_until_the_log_knows() -> None:
    resending = resender(Producer())
    assert await resending.resend(WEBHOOK, "msg_1") == 2
    with pytest.raises(StillPending):
        await resending.resend(WEBHOOK, "msg_1")


async def test_what_was_resent_lately_is_told_with_the_runs_that_it_had() -> None:
    resending = resender(Producer(refusals=1), replace(MESSAGE, runs=4))
    with pytest.raises(KafkaTimeoutError):
        await resending.resend(WEBHOOK, "msg_1")
    assert resending.resent_lately(WEBHOOK) == []
    await resending.resend(WEBHOOK, "msg_1")
    assert resending.resent_lately(WEBHOOK) == [("msg_1", 4)]
    assert resending.resent_lately(a_webhook(id="another")) == []


@pytest.mark.parametrize("latest", ["pending", "in_progress"])
async def test_a_message_that_arrived_before_is_not_sent_again_while_that_is_being_done(latest: Status) -> None:
    arrived = replace(MESSAGE, status="successful", runs=2)
    with pytest.raises(StillPending):
        await resender(Producer(), arrived, latest).resend(WEBHOOK, "msg_1")
    assert await resender(Producer(), arrived, "failed").resend(WEBHOOK, "msg_1") == 3


async def test_what_kafka_did_not_take_can_be_sent_again_as_the_same_run() -> None:
    producer = Producer(refusals=1)
    resending = resender(producer)
    with pytest.raises(KafkaTimeoutError):
        await resending.resend(WEBHOOK, "msg_1")
    assert await resending.resend(WEBHOOK, "msg_1") == 2
    assert producer.runs == [b"2"]


async def test_of_many_each_that_kafka_did_not_take_is_not_queued() -> None:
    resending = resender(Producer(refusals=1))
    with pytest.raises(KafkaTimeoutError):
        await (await resending.queue(WEBHOOK, MESSAGE, b"{}"))
    assert not resending.is_queued(WEBHOOK, MESSAGE)
    await (await resending.queue(WEBHOOK, MESSAGE, b"{}"))
    assert resending.is_queued(WEBHOOK, MESSAGE)
