from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from dispatcher.delivery.record import Delivery
from dispatcher.events.types import EventType
from dispatcher.recording.queued import queued_row

DELIVERY = Delivery("wh", "org", EventType.ACTIVE_ALERT, "m", 1, 1, 1_700_000_000_000, 0, "", b"x" * 300)


@dataclass(slots=True)
class Consumed:
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    topic: str = "t"
    partition: int = 0
    offset: int = 77
    timestamp: int = 1_700_000_000_123


def record(delivery: Delivery) -> Consumed:
    return Consumed(delivery.key, delivery.body, delivery.headers())


def test_a_first_attempt_has_a_row_with_its_body_as_it_is() -> None:
    row = queued_row(record(DELIVERY))
    assert row is not None
    assert row.startswith(b"\x03org\x02wh\x0cactive_alert\x01m\x00\xac\x02" + b"x" * 300)
    assert row.endswith((1_700_000_000_123).to_bytes(8, "little") + b"\0" + (77).to_bytes(8, "little"))


def test_it_says_whether_the_outcome_is_inserted_too() -> None:
    attempted, other = (queued_row(record(DELIVERY), attempted=told) for told in (True, False))
    assert attempted is not None
    assert other is not None
    assert attempted == other[:-9] + b"\1" + other[-8:]


@pytest.mark.parametrize(
    "unwanted",
    [
        record(replace(DELIVERY, attempt=2)),
        record(replace(DELIVERY, run=2**40)),
        Consumed(b"k", b"v", []),
        Consumed(b"k", b"v", [("attempt", b"1")]),
        Consumed(b"k", None, DELIVERY.headers()),
    ],
)
def test_no_other_record_has_one(unwanted: Consumed) -> None:
    assert queued_row(unwanted) is None
