"""Asking for what failed to be sent again, and asking once more."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from dispatcher.portal.recovery import Asked, Recoveries
from dispatcher.recording.recoverable import Span
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


def recoveries(clock: Clock, failed_at: list[datetime]) -> Recoveries:
    async def count(_organization: str, _webhook: str, span: Span, **_: object) -> int:
        return sum(span.since <= at < span.until for at in failed_at)

    async def send_and_wait(*_: object, **__: object) -> None:
        pass

    return Recoveries(
        cast("Any", SimpleNamespace(count=count)),
        cast("Any", SimpleNamespace(resent_lately=lambda _: [])),
        cast("Any", None),
        cast("Any", SimpleNamespace(send_and_wait=send_and_wait)),
        cast("Any", SimpleNamespace(commands="commands")),
        clock.now,
        clock.seconds,
    )


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
