from types import SimpleNamespace
from typing import Any

import pytest

from dispatcher.delivery.record import Delivery, UnreadableDelivery, due_at, parked_headers, read_delivery
from dispatcher.events.types import EventType

DELIVERY = Delivery("wh", "org-contoso", EventType.ACTIVE_ALERT, "msg_1", 1, 2, 1_795_000_000_000, 3, "", b"{}")
NAMES = [name for name, _ in DELIVERY.headers()]


def test_reads_back_what_was_written() -> None:
    assert read_delivery(DELIVERY.key, DELIVERY.body, DELIVERY.headers()) == DELIVERY


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *((name, None) for name in NAMES),
        *((name, b"\xff") for name in NAMES),
        *((name, b"-1") for name in ("run", "attempt", "created", "config")),
        *((name, b"9" * 20) for name in ("run", "attempt", "created", "config")),
        *((name, b"0") for name in ("run", "attempt")),
        ("attempt", b"256"),
        ("event", b"sing"),
        *((name, b"x" * 70_000) for name in ("message", "organization", "workspace")),
    ],
)
def test_refuses_what_is_no_delivery(name: str, content: bytes | None) -> None:
    headers = [(each, content if each == name else value) for each, value in DELIVERY.headers()]
    with pytest.raises(UnreadableDelivery):
        read_delivery(DELIVERY.key, DELIVERY.body, headers)


@pytest.mark.parametrize("missing", ["key", "value", *NAMES])
def test_refuses_what_lacks_something(missing: str) -> None:
    headers = [(name, value) for name, value in DELIVERY.headers() if name != missing]
    key, value = None if missing == "key" else b"wh", None if missing == "value" else b"{}"
    with pytest.raises(UnreadableDelivery):
        read_delivery(key, value, headers)


def test_a_parked_record_keeps_when_its_attempt_was_due_however_often_it_is_moved() -> None:
    once = parked_headers([("v", b"1")], 1_000)
    again: Any = SimpleNamespace(timestamp=9_000, headers=once)
    assert due_at(again) == 1_000
    assert parked_headers(once, due_at(again)) == once
    for due in (None, b"soon", b"9" * 30):
        again.headers = [("due", due)]
        assert due_at(again) == 9_000
