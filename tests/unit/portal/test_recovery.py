"""Asking for what failed to be sent again, and asking once more."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dispatcher.portal.recovery import Asked, Recoveries
from dispatcher.recording.history import Message
from dispatcher.recording.recoverable import Recoverable, Span
from tests.support.webhooks import a_webhook

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
AN_HOUR = timedelta(hours=1)
WEBHOOK = a_webhook()


class Clock:
    """Both times: that of the day, and seconds."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed)

    def seconds(self) -> float:
        return self.passed


@dataclass
class Done:
    """The commands that were written, and what was sent again."""

    commands: list[Any] = field(default_factory=list)
    resent: list[str] = field(default_factory=list)


def recoveries(clock: Clock, failed_at: list[datetime], done: Done | None = None) -> Recoveries:
    done = done or Done()

    async def count(_organization: str, _webhook: str, span: Span, **_: object) -> int:
        return sum(span.since <= at < span.until for at in failed_at)

    async def batches(_organization: str, _webhook: str, span: Span) -> AsyncIterator[list[Recoverable]]:
        messages = [
            Message(f"msg_{number}", "failed", 1, 1, at, at, "object_created", "")
            for number, at in enumerate(failed_at)
            if span.since <= at < span.until
        ]
        yield [Recoverable(message, b"{}") for message in messages]

    async def queue(_webhook: object, message: Message, _body: bytes) -> Awaitable[None]:
        done.resent.append(message.message_id)
        return asyncio.sleep(0)

    async def send_and_wait(_topic: str, value: bytes, **_: object) -> None:
        done.commands.append(SimpleNamespace(value=value))

    return Recoveries(
        cast("Any", SimpleNamespace(count=count, batches=batches)),
        cast("Any", SimpleNamespace(resent_lately=lambda _: [], is_queued=lambda *_: False, queue=queue)),
        cast("Any", {WEBHOOK.id: WEBHOOK}),
        cast("Any", SimpleNamespace(send_and_wait=send_and_wait)),
        cast("Any", SimpleNamespace(commands="commands")),
        clock.now,
        clock.seconds,
    )


def asleep(clock: Clock) -> Callable[[float], Awaitable[None]]:
    """Sleeping in which the clock goes on."""

    async def sleep(seconds: float) -> None:
        clock.passed += max(seconds, 0)

    return sleep


async def test_what_was_just_asked_for_is_not_sent_twice_and_known_to_be_on_its_way() -> None:
    clock, failed_at = Clock(), [NOW - AN_HOUR / 2]
    asking = recoveries(clock, failed_at)
    assert await asking.ask(WEBHOOK, Span(NOW - AN_HOUR, NOW)) == Asked(1, already=False)
    assert await asking.ask(WEBHOOK, Span(NOW - AN_HOUR, NOW)) == Asked(0, already=True)
    clock.passed = 59
    assert await asking.ask(WEBHOOK, Span(NOW - 2 * AN_HOUR, clock.now())) == Asked(0, already=True)
    failed_at.append(clock.now() - timedelta(seconds=9))
    assert await asking.ask(WEBHOOK, Span(NOW - AN_HOUR, clock.now())) == Asked(1, already=True)


async def test_what_nobody_asked_for_is_not_on_its_way() -> None:
    asking = recoveries(Clock(), [NOW - AN_HOUR / 2])
    assert await asking.ask(WEBHOOK, Span(NOW - 3 * AN_HOUR, NOW - 2 * AN_HOUR)) == Asked(0, already=False)
    assert await asking.ask(WEBHOOK, Span(NOW - AN_HOUR, NOW)) == Asked(1, already=False)
    assert await asking.ask(a_webhook(id="another"), Span(NOW - AN_HOUR, NOW)) == Asked(1, already=False)
    assert await asking.ask(WEBHOOK, Span(NOW - 3 * AN_HOUR, NOW - 2 * AN_HOUR)) == Asked(0, already=False)


async def test_what_failed_just_before_is_sent_though_the_log_has_it_a_moment_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, done, failed_at = Clock(), Done(), [NOW - AN_HOUR / 2]
    monkeypatch.setattr(asyncio, "sleep", asleep(clock))
    asking = recoveries(clock, failed_at, done)
    assert await asking.ask(WEBHOOK, Span(NOW - AN_HOUR, NOW)) == Asked(1, already=False)
    await asking.carry_out(done.commands[0])
    assert (done.resent, clock.passed) == (["msg_0"], 0), "what is known does not wait for the rest"
    failed_at.append(NOW - timedelta(seconds=1))
    await asking.carry_out(done.commands[1])
    assert (done.resent, clock.passed) == (["msg_0", "msg_1"], 5)
    assert len(done.commands) == 2, "and that is all"
    assert await asking.ask(WEBHOOK, Span(NOW - AN_HOUR, clock.now())) == Asked(0, already=True)


async def test_what_failed_just_before_is_looked_for_though_nothing_is_known_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, done, failed_at = Clock(), Done(), list[datetime]()
    monkeypatch.setattr(asyncio, "sleep", asleep(clock))
    asking = recoveries(clock, failed_at, done)
    assert await asking.ask(WEBHOOK, Span(NOW - AN_HOUR, NOW)) == Asked(0, already=False)
    await asking.carry_out(done.commands[0])
    failed_at.append(NOW - timedelta(seconds=1))
    await asking.carry_out(done.commands[1])
    assert done.resent == ["msg_0"]
    assert await asking.ask(WEBHOOK, Span(NOW - AN_HOUR, NOW - timedelta(minutes=1))) == Asked(0, already=False)
    assert len(done.commands) == 2, "what lies further back is in the log"


async def test_the_time_of_a_command_is_not_waited_for_longer_than_it_takes_to_be_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, done = Clock(), Done()
    monkeypatch.setattr(asyncio, "sleep", asleep(clock))
    asking = recoveries(clock, [NOW - timedelta(seconds=1)], done)
    await asking.ask(WEBHOOK, Span(NOW - AN_HOUR, NOW))
    clock.passed = -3600
    await asking.carry_out(done.commands[0])
    assert (done.resent, clock.passed) == (["msg_0"], -3595)


@pytest.mark.parametrize(
    ("until", "carried_out_after"), [(NOW - AN_HOUR / 4, 0), (NOW, 5)], ids=["a time long ago", "a command that waited"]
)
async def test_what_is_recorded_by_now_is_not_looked_for_again(until: datetime, carried_out_after: float) -> None:
    clock, done = Clock(), Done()
    asking = recoveries(clock, [NOW - AN_HOUR / 2], done)
    await asking.ask(WEBHOOK, Span(NOW - AN_HOUR, until))
    clock.passed = carried_out_after
    await asking.carry_out(done.commands[0])
    assert (done.resent, len(done.commands)) == (["msg_0"], 1)
