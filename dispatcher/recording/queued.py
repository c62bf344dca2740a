"""The row of a first attempt that was written to be made: its body, and that it waits, if it was not made meanwhile."""

import struct
from typing import Final

from dispatcher.delivery.record import Delivery, UnreadableDelivery, read_delivery
from dispatcher.kafka.dead_letters import Record

TABLE: Final = "queued"
FORMAT: Final = "RowBinary"
COLUMNS: Final = (
    "organization_id",
    "webhook_id",
    "event_type",
    "message_id",
    "workspace_id",
    "body",
    "run",
    "attempt",
    "message_created_on",
    "due_at",
    "attempted",
    "log_offset",
)

FIRST_SENT: Final = "queued_on, log_offset"
"""The order of a message's rows in ``message_bodies``: the body of the first was sent."""

_FIRST = b"1"
_NUMBERS = struct.Struct("<IIqq?q")


def queued_row(record: Record, *, attempted: bool = False) -> bytes | None:
    """The row for a record of ``webhooks.deliveries`` or ``webhooks.bulk``, None where there is none to make.

    ``attempted``: the attempt's outcome is recorded, and tells all but the body.

    Later attempts follow from the outcome of the one before. A record that cannot be read is the sender's to set
    aside: it is left out here, so that it becomes one dead letter and not two. The body goes in as it is, byte for
    byte, which JSON could not do.
    """
    if dict(record.headers).get("attempt") != _FIRST:
        return None
    try:
        delivery = read_delivery(record.key, record.value, record.headers)
        return encode(delivery, due_at=record.timestamp, log_offset=record.offset, attempted=attempted)
    except (UnreadableDelivery, struct.error):
        return None


def encode(delivery: Delivery, *, due_at: int, log_offset: int = 0, attempted: bool = False) -> bytes:
    """The row, its columns in the order of ``COLUMNS``; ``due_at`` in milliseconds since the epoch.

    Of a message that is written several times, the body of the earliest ``due_at`` is kept, then of ``log_offset``.

    Raises:
        struct.error: a number is too large for its column.
    """
    strings = (
        delivery.organization_id.encode(),
        delivery.webhook_id.encode(),
        delivery.event_type.encode(),
        delivery.message_id.encode(),
        delivery.workspace_id.encode(),
        delivery.body,
    )
    numbers = _NUMBERS.pack(delivery.run, delivery.attempt, delivery.message_created_on, due_at, attempted, log_offset)
    parts: list[bytes] = []
    for text in strings:
        length = len(text)
        parts += (_LENGTHS[length] if length < len(_LENGTHS) else _leb128(length)), text
    parts.append(numbers)
    return b"".join(parts)


def _leb128(number: int) -> bytes:
    """An unsigned LEB128 number, which RowBinary writes before a string as its length."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_LENGTHS = tuple(map(_leb128, range(1024)))
"""Most lengths, of bodies too, are one of these."""
