"""What is a W3C trace context and what is none, and that it comes through a record's headers as it went in."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.observability.trace_context import TraceContext, trace_context, trace_of_headers

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
VALID = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

a_parent = st.from_regex(VALID, fullmatch=True).filter(lambda it: "0" * 32 not in it and "-" + "0" * 16 + "-" not in it)
a_state = st.lists(st.from_regex(r"[a-z][a-z0-9_*/-]{0,10}=[a-zA-Z0-9:;.]{1,10}", fullmatch=True), min_size=1).map(
    ",".join
)


@given(a_parent, a_state.filter(lambda state: len(state) <= 512 and state.count(",") < 32), a_parent)
def test_a_context_comes_through_headers(parent: str, state: str, previous: str) -> None:
    context = trace_context(parent, state)
    assert context == TraceContext(parent, state)
    again = context._replace(previous=previous)
    assert trace_of_headers(dict(again.headers())) == again
    assert again.trace_id == parent.split("-")[1]


@given(st.one_of(st.text(), st.integers(), st.none(), st.lists(st.text())), st.one_of(st.text(), st.integers()))
def test_whatever_comes_is_valid_or_nothing(parent: object, state: object) -> None:
    context = trace_context(parent, state)
    assert context is None or VALID.fullmatch(context.parent)


@given(st.binary(), st.binary(), st.binary())
def test_whatever_headers_hold_is_valid_or_nothing(parent: bytes, state: bytes, previous: bytes) -> None:
    headers = {"traceparent": parent, "tracestate": state, "previous-traceparent": previous}
    assert trace_of_headers(headers) is None
    context = trace_of_headers({**headers, "traceparent": PARENT.encode()})
    assert context is not None
    assert context.parent == PARENT
    assert not context.previous or VALID.fullmatch(context.previous)
    assert context.state.isascii()
    assert context.state.isprintable()


@given(a_parent, st.integers(0, 54), st.characters(exclude_characters="0123456789abcdef-", codec="utf-8"))
def test_one_wrong_character_makes_it_none(parent: str, place: int, wrong: str) -> None:
    assert trace_context(parent[:place] + wrong + parent[place + 1 :]) is None


@pytest.mark.parametrize(
    "parent",
    [
        "",
        PARENT.upper(),
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-b7ad6b7169203331-01",
        f"{PARENT}-more",
        f"{PARENT}\n",
        f" {PARENT}",
        PARENT[:-1],
    ],
)
def test_what_is_malformed_is_none(parent: str) -> None:
    assert trace_context(parent, "a=1") is None


def test_a_version_of_the_future_is_passed_on_as_what_is_known_of_it() -> None:
    assert trace_context(f"cc-{TRACE}-b7ad6b7169203331-09-what-the-future-holds") == TraceContext(PARENT)
    assert trace_context(f"cc-{TRACE}-b7ad6b7169203331-09what") is None


@pytest.mark.parametrize(
    "state", ["", ",", "no pair", "A=1", "a=1\r\nx: y", "a=é", "a=" + "b" * 511, "a=1," * 32 + "b=2"]
)
def test_a_state_that_is_malformed_or_long_is_left_out(state: str) -> None:
    assert trace_context(PARENT, state) == TraceContext(PARENT)
