from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        record(DELIVERY._replace(attempt=2)),
        record(DELIVERY._replace(run=2**40)),
        Consumed(b"k", b"v", []),
        Consumed(b"k", b"v", [("attempt", b"1")]),
        Consumed(b"k", None, DELIVERY.headers()),
    ],
)
def test_no_other_record_has_one(unwanted: Consumed) -> None:
    assert queued_row(unwanted) is None


def as_clickhouse_describes_it(text: bytes) -> bytes:
    """A string in RowBinary."""
    length, encoded = len(text), []
    while True:
        length, digit = divmod(length, 128)
        encoded.append(digit + (128 if length else 0))
        if not length:
            return bytes(encoded) + text


@given(st.sampled_from([0, 1, 127, 128, 1023, 1024, 16_383, 16_384, 65_536]), st.binary(max_size=300))
def test_texts_of_any_length_stand_as_clickhouse_describes_it(length: int, body: bytes) -> None:
    row = queued_row(record(DELIVERY._replace(organization_id="o" * length, body=body)))
    texts = (b"o" * length, b"wh", b"active_alert", b"m", b"", body)
    assert row is not None
    assert row[:-33] == b"".join(map(as_clickhouse_describes_it, texts))
