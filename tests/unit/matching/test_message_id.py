import re

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.matching.message_id import message_of_device, message_of_event

PARTS = st.text(max_size=20)


def test_an_id_stays_the_same_for_ever() -> None:
    # Targets remember ids: a change of this value would have everything sent again under another name.
    assert message_of_event("wh-1", "/portal/alerts", "7d0c") == "msg_b544de9cbacefd9fd74f94682f6b478a"
    assert message_of_device("wh-1", "org-1", "op-81", "ws-1") == "msg_989021b95a9ecb3c2782b9757b248343"


@given(PARTS, PARTS, PARTS)
def test_an_id_has_neither_dots_nor_dashes(webhook_id: str, source: str, event_id: str) -> None:
    assert re.fullmatch(r"msg_[0-9a-f]{32}", message_of_event(webhook_id, source, event_id))


@given(st.tuples(PARTS, PARTS, PARTS), st.tuples(PARTS, PARTS, PARTS))
def test_different_events_have_different_ids(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert (message_of_event(*one) == message_of_event(*other)) == (one == other)


@given(st.lists(st.sampled_from(["a", "b", "1:a", ":", ""]), min_size=4, max_size=4))
def test_parts_are_not_run_together(parts: list[str]) -> None:
    webhook_id, organization_id, operation_id, workspace_id = parts
    moved = (webhook_id + organization_id, "", operation_id, workspace_id)
    same = message_of_device(*moved) == message_of_device(webhook_id, organization_id, operation_id, workspace_id)
    assert same == (organization_id == "")


def test_a_device_is_never_taken_for_an_event() -> None:
    assert message_of_device("wh-1", "a", "b", "c") != message_of_event("wh-1", "a", "b")
    assert message_of_device("wh-1", "a", "b", "") != message_of_event("wh-1", "a", "b")
