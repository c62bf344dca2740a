from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.delivery.record import Delivery, UnreadableDelivery, due_at, parked_headers, read_delivery
from dispatcher.events.types import EventType

DELIVERY = Delivery("wh", "org-contoso", EventType.ACTIVE_ALERT, "msg_1", 1, 2, 1_795_000_000_000, 3, "", b"{}")
NAMES = [name for name, _ in DELIVERY.headers()]

Header = tuple[str, bytes | None]

odd_values = st.sampled_from([None, b"", b"0", b"1", b"01", b" 2 ", b"+3", b"1_0", b"-1", b"255", b"256", b"65536"]) | (
    st.sampled_from([b"9" * 18, b"9" * 19, b"\xff", b"\xed\xa0\x80", b"object_created", b"x" * 65_536, b"x" * 65_537])
    | st.sampled_from(["ä" * 65_536, "ä" * 65_537]).map(str.encode)
    | st.binary(max_size=3)
)
"""What a header may have: of numbers and identifiers, the last that is readable and the first that is not."""


@st.composite
def odd_headers(draw: st.DrawFn) -> list[Header]:
    """A delivery's headers with one or two that are changed, missing, there twice, or of another name."""
    headers: list[Header] = list(DELIVERY.headers())
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from([*NAMES, "traceparent", "another"]))
        others = [header for header in headers if header[0] != name]
        headers = draw(st.permutations([*draw(st.sampled_from([headers, others])), (name, draw(odd_values))]))
        headers = draw(st.sampled_from([headers, headers, others]))
    return headers


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


def as_the_rule_is(key: bytes, value: bytes, headers: list[Header]) -> Delivery | None:
    """The delivery in a record, None where there is none: as it has been from the first version on."""
    named: Any = dict(headers)
    try:
        if named["v"] != b"1":
            return None
        texts = [key.decode(), *(named[name].decode() for name in ("organization", "message", "workspace"))]
        run, attempt, created, config = (int(named[name]) for name in ("run", "attempt", "created", "config"))
        event_type = EventType(named["event"].decode())
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    if not (1 <= run < 2**16 and 1 <= attempt < 2**8 and 0 <= created < 2**63 and 0 <= config < 2**63):
        return None
    if any(len(text) > 65_536 for text in texts):
        return None
    webhook, organization, message, workspace = texts
    return Delivery(webhook, organization, event_type, message, run, attempt, created, config, workspace, value)


@given(st.sampled_from([b"wh", b"", b"\xff", b"x" * 65_537]), odd_headers())
def test_what_is_a_delivery_is_what_it_has_always_been(key: bytes, headers: list[Header]) -> None:
    try:
        read = read_delivery(key, b"{}", headers)
    except UnreadableDelivery:
        read = None
    assert read == as_the_rule_is(key, b"{}", headers)


def test_a_parked_record_keeps_when_its_attempt_was_due_however_often_it_is_moved() -> None:
    once = parked_headers([("v", b"1")], 1_000)
    again: Any = SimpleNamespace(timestamp=9_000, headers=once)
    assert due_at(again) == 1_000
    assert parked_headers(once, due_at(again)) == once
    for due in (None, b"soon", b"9" * 30):
        again.headers = [("due", due)]
        assert due_at(again) == 9_000
