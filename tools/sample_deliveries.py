"""Two weeks of deliveries that nobody made: the data behind the answers in docs/querying.md.

Three organizations with seven webhooks and about 4,500 messages, from fourteen days before a midnight up to it; they
are the same whatever the midnight. One target is slow, two have bad evenings, one refuses connections for the last
day, one has a certificate that expired. A message is tried at once, after 5 s, 5 min and 30 min.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from dispatcher.delivery.outcome import Outcome, Status, encode_outcome
from dispatcher.recording.clickhouse import ClickHouse

SEED = 20_261_124
DAYS = 14

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_WAITS_MS = (5_000, 300_000, 1_800_000)
_QUIET, _BUSY = 0.4, 2.2


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook: messages an hour at an ordinary time, the usual duration of an attempt, and how it fails."""

    organization: str
    webhook: str
    event_type: str
    host: str
    hourly: float
    duration_ms: int
    fails: float
    error: str
    code: int | None
    evenings: float = 0.0
    last_day: float = 0.0
    devices: int = 0


_HOOKS = (
    Hook("org-contoso", "wh-tickets", "active_alert", "tickets.example", 2.4, 80, 0.01, "the target answered 500", 500),
    Hook(
        *("org-contoso", "wh-inventory", "object_modified", "inventory.example", 3.0, 45, 0.004),
        *("the target answered 502", 502),
    ),
    Hook(
        *("org-contoso", "wh-crm", "object_created", "crm.example", 1.5, 120, 0.01, "connection refused", None),
        last_day=0.9,
    ),
    Hook(
        *("org-fabrikam", "wh-chat", "active_alert", "chat.example", 1.8, 150, 0.02, "the target answered 429", 429),
        evenings=0.3,
    ),
    Hook(
        *("org-fabrikam", "wh-reports", "executed_microservice", "reports.example", 0.8, 4_200, 0.05),
        *("no answer within 15 s", None),
    ),
    Hook(
        *("org-northwind", "wh-devices", "operation_executed_in_workspace", "devices.example", 1.6, 60, 0.01),
        *("the target answered 503", 503),
        evenings=0.6,
        devices=12,
    ),
    Hook(
        *("org-northwind", "wh-old", "object_deleted", "old.example", 0.3, 30, 1.0, "certificate expired", None),
    ),
)


def sample_outcomes(
    until: int, hooks: Sequence[Hook] = _HOOKS, *, days: int = DAYS, seed: int = SEED
) -> Iterator[Outcome]:
    """What senders would have reported; ``until`` is the beginning of an hour, in milliseconds since the epoch."""
    chance = Random(seed)  # noqa: S311 - a made-up past is no secret
    number = 0
    for hook in hooks:
        for start in range(until - days * _DAY_MS, until, _HOUR_MS):
            expected = hook.hourly * _activity(start // _HOUR_MS % 24)
            for _ in range(math.floor(expected + chance.random())):
                number += 1
                created = start + math.floor(chance.random() * _HOUR_MS)
                yield from _message(hook, f"msg_{number:06}", created, until, chance)


def _activity(hour: int) -> float:
    """How busy an hour of the day is: nights are quiet, mornings the busiest."""
    return _QUIET + (_BUSY - _QUIET) * max(math.sin((hour - 5) / 16 * math.pi), 0.0) if 5 <= hour < 21 else _QUIET


def _message(hook: Hook, message_id: str, created: int, until: int, chance: Random) -> Iterator[Outcome]:
    device = f"ws-{1 + math.floor(chance.random() * hook.devices):02}" if hook.devices else ""
    due, run = created, 1
    attempt = 1
    while True:
        executed = due + 2 + math.floor(chance.random() * 20)
        failed = chance.random() < _chance_of_failure(hook, executed, until)
        duration = math.floor(hook.duration_ms * (0.5 + chance.random() ** 3 * 4))
        duration = 15_000 if failed and hook.error.startswith("no answer") else min(duration, 14_900)
        again = failed and attempt <= len(_WAITS_MS)
        following = executed + duration + _WAITS_MS[attempt - 1] if again else None
        yield _outcome(
            hook,
            message_id,
            device,
            run,
            attempt,
            "failed" if failed else "successful",
            created=created,
            due=due,
            executed=executed,
            duration=duration,
            following=following,
        )
        if following is not None and following >= until:
            return  # it waits still
        if following is not None:
            due, attempt = following, attempt + 1
        elif failed and run == 1 and hook.webhook == "wh-crm" and chance.random() < 0.5:
            due, attempt, run = executed + _HOUR_MS // 2, 1, 2  # somebody sends it again
            if due >= until:
                return
        else:
            return


def _chance_of_failure(hook: Hook, at: int, until: int) -> float:
    if hook.last_day and at >= until - _DAY_MS:
        return hook.last_day
    if hook.evenings and (at // _HOUR_MS) % 24 >= 18:
        return hook.evenings
    return hook.fails


def _outcome(
    hook: Hook,
    message_id: str,
    device: str,
    run: int,
    attempt: int,
    status: Status,
    *,
    created: int,
    due: int,
    executed: int,
    duration: int,
    following: int | None,
) -> Outcome:
    failed = status == "failed"
    return Outcome(
        organization_id=hook.organization,
        webhook_id=hook.webhook,
        event_type=hook.event_type,
        message_id=message_id,
        workspace_id=device,
        run=run,
        attempt=attempt,
        status=status,
        message_created_on=created,
        due_at=due,
        executed_on=executed,
        duration_ms=duration,
        response_code=hook.code if failed else 200,
        error=hook.error if failed else "",
        reason="sample" if failed else "",
        target_host=hook.host,
        next_attempt_at=following,
    )


async def insert_sample(clickhouse: ClickHouse, until: int) -> None:
    """Record the sample as a recorder would."""
    await clickhouse.insert("outcomes", b"\n".join(map(encode_outcome, sample_outcomes(until))))


async def last_midnight(clickhouse: ClickHouse) -> int:
    """When today began in UTC by ClickHouse's clock, in milliseconds since the epoch."""
    [row] = await clickhouse.query("SELECT toUnixTimestamp(toStartOfDay(now('UTC'))) AS at")
    return int(row["at"]) * 1_000
