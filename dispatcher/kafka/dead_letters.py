"""Dead letters: records that could not be understood, kept as they came with the reason in their headers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aiokafka import AIOKafkaProducer

from dispatcher.kafka.batching import TOO_LARGE
from dispatcher.kafka.clients import MAX_RECORD_BYTES
from dispatcher.kafka.headers import by_name
from dispatcher.observability.metrics import DEAD_LETTERS

MAX_REASON_CHARACTERS = 1_000

_REASON = "dead-letter-reason"
_OMITTED = "dead-letter-omitted"
_OVERHEAD_OF_HEADER = 10

_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_LARGEST_TIME_MS = 62_135_596_800_000

Headers = Sequence[tuple[str, bytes]]
_Form = tuple[bytes | None, bytes | None, Headers]


class Record(Protocol):
    """What is needed of a consumed record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class NotADeadLetter(ValueError):
    """A record of ``webhooks.dead-letter`` that somebody else put there."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record was read that could not be understood; its time there in milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    time: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that was set aside. ``omitted`` says what of it was not kept, if anything."""

    reason: str
    origin: Origin
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    omitted: str = ""


def read_dead_letter(record: Record) -> DeadLetter:
    """What was set aside, as it came.

    Raises:
        NotADeadLetter: the headers that say why and from where are missing.
    """
    headers = tuple(record.headers)
    # A record may have brought headers of these names itself; ours come last.
    starts = [position for position, (name, content) in enumerate(headers) if name == _REASON and content is not None]
    if not starts:
        raise NotADeadLetter("it was not put here by the dispatcher")
    own, ours = headers[: starts[-1]], by_name(headers[starts[-1] :])
    try:
        origin = Origin(
            topic=ours["dead-letter-topic"].decode(),
            partition=int(ours["dead-letter-partition"]),
            offset=int(ours["dead-letter-offset"]),
            time=int(ours["dead-letter-time"]),
        )
    except (KeyError, ValueError):
        raise NotADeadLetter("its headers do not say where it comes from") from None
    if not _TOPIC.fullmatch(origin.topic) or abs(origin.time) > _LARGEST_TIME_MS:
        raise NotADeadLetter("its headers name no topic, or no time, that there can be")
    return DeadLetter(
        reason=ours[_REASON].decode(errors="replace"),
        origin=origin,
        key=record.key,
        value=record.value,
        headers=own,
        omitted=ours.get(_OMITTED, b"").decode(errors="replace"),
    )


class DeadLetters:
    """Writes to ``webhooks.dead-letter``."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def send(self, record: Record, reason: str, *, with_value: bool = True) -> None:
        """Set a record aside. Only when this has returned does the broker have it, and may its offset be committed.

        What does not fit beside the headers that are added, or is more than the broker allows, is left out: its own
        topic has it still.

        Raises:
            KafkaError: the broker did not take it.
        """
        about = [
            (_REASON, _short(reason).encode(errors="replace")),
            ("dead-letter-topic", record.topic.encode()),
            ("dead-letter-partition", b"%d" % record.partition),
            ("dead-letter-offset", b"%d" % record.offset),
            ("dead-letter-time", b"%d" % record.timestamp),
        ]
        forms = _forms(record, about, with_value=with_value)
        for key, value, headers in forms:
            if key is None and value is None:
                value = b""  # noqa: PLW2901 - aiokafka sends no record that has neither
            try:
                await (await self._producer.send(self._topic, value=value, key=key, headers=headers))
            except TOO_LARGE:
                if headers is forms[-1][-1]:
                    raise
            else:
                break
        DEAD_LETTERS.labels(record.topic).inc()


def _forms(record: Record, about: Headers, *, with_value: bool) -> list[_Form]:
    """A dead letter as a whole, without its value, and with no more than where it comes from: those that may fit."""
    without_value = (record.key, None, [*record.headers, *about, (_OMITTED, b"value")])
    bare = (None, None, [*about, (_OMITTED, b"key, value and headers")])
    forms: list[_Form] = [without_value, bare]
    if with_value:
        forms.insert(0, (record.key, record.value, [*record.headers, *about]))
    return [form for form in forms if _size(*form) <= MAX_RECORD_BYTES]


def _short(reason: str) -> str:
    return reason if len(reason) <= MAX_REASON_CHARACTERS else f"{reason[: MAX_REASON_CHARACTERS - 1]}…"


def _size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    of_headers = sum(len(name.encode()) + len(content or b"") + _OVERHEAD_OF_HEADER for name, content in headers)
    return len(key or b"") + len(value or b"") + of_headers
