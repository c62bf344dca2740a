from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.delivery.failures import MAX_BODY_BYTES
from dispatcher.delivery.record import Delivery, read_delivery
from dispatcher.events.reading import read_event
from dispatcher.events.types import EventType
from dispatcher.matching.match import TooLarge, match
from dispatcher.matching.message_id import message_of_device, message_of_event
from dispatcher.webhooks.webhook import Items, Webhook
from tests.support.matching import ORGANIZATION, a_webhook, an_event, following

OPERATION = EventType.OPERATION_EXECUTED
DEVICE = EventType.OPERATION_EXECUTED_IN_WORKSPACE
NOON = 1_795_428_000_000


def matched(value: bytes, *webhooks: Webhook) -> list[Delivery]:
    results = list(match(read_event(value), following(*webhooks).directory, NOON))
    assert all(isinstance(result, Delivery) for result in results)
    return [result for result in results if isinstance(result, Delivery)]


@pytest.mark.parametrize("event_type", EventType)
class TestItems:
    def test_all(self, event_type: EventType) -> None:
        assert len(matched(an_event(event_type), a_webhook(event_type))) == 1

    def test_the_chosen_one(self, event_type: EventType) -> None:
        webhook = a_webhook(event_type, items=Items(ids=("item-0", "item-1")))
        assert len(matched(an_event(event_type), webhook)) == 1

    def test_another_one(self, event_type: EventType) -> None:
        assert not matched(an_event(event_type), a_webhook(event_type, items=Items(ids=("item-2",))))

    def test_events_of_another_type(self, event_type: EventType) -> None:
        others = [a_webhook(other, id=f"wh-{other}") for other in EventType if other is not event_type]
        assert not matched(an_event(event_type), *others)

    def test_a_disabled_webhook(self, event_type: EventType) -> None:
        assert not matched(an_event(event_type), a_webhook(event_type, status="disabled"))

    def test_another_organization(self, event_type: EventType) -> None:
        assert not matched(an_event(event_type), a_webhook(event_type, organization_id="org-other"))

    def test_what_is_known_of_a_message(self, event_type: EventType) -> None:
        (delivery,) = matched(an_event(event_type), a_webhook(event_type))
        assert delivery.organization_id == ORGANIZATION
        assert delivery.event_type is event_type
        assert (delivery.run, delivery.attempt) == (1, 1)
        assert delivery.message_created_on == NOON
        assert delivery.config_offset == 1
        assert read_delivery(delivery.key, delivery.body, delivery.headers()) == delivery


@pytest.mark.parametrize(
    ("event_type", "workspace_id", "expected"),
    [
        (EventType.ACTIVE_ALERT, "ws-7", "ws-7"),
        (EventType.EXECUTED_MICROSERVICE, "ws-7", "ws-7"),
        (EventType.ACTIVE_ALERT, None, ""),
        (EventType.ACTIVE_ALERT, 7, ""),
        (EventType.ACTIVE_ALERT, "ws-\ud800", "ws-?"),
        (EventType.ACTIVE_ALERT, "w" * 1024, "w" * 1024),
        (EventType.EXECUTED_MICROSERVICE, "w" * 1025, ""),
        (EventType.OBJECT_CREATED, "ws-7", ""),
        (DEVICE, "ws-7", "ws-7"),
    ],
)
def test_the_device_that_a_message_is_about(event_type: EventType, workspace_id: Any, expected: str) -> None:
    (delivery,) = matched(an_event(event_type, workspace_id=workspace_id), a_webhook(event_type))
    assert delivery.workspace_id == expected
    assert delivery.headers()


def test_an_event_is_one_message_for_each_webhook_that_wants_it() -> None:
    webhooks = [a_webhook(EventType.ACTIVE_ALERT, id=f"wh-{number}") for number in range(5)]
    deliveries = matched(an_event(EventType.ACTIVE_ALERT), *webhooks)
    assert [delivery.webhook_id for delivery in deliveries] == [webhook.id for webhook in webhooks]
    assert [delivery.message_id for delivery in deliveries] == [
        message_of_event(webhook.id, f"/portal/{EventType.ACTIVE_ALERT}", "event-1") for webhook in webhooks
    ]


def devices(*ids: str) -> list[dict[str, str]]:
    return [{"workspace_id": id, "workspace_name": f"LT-{id}"} for id in ids]


def test_an_operation_is_one_message_of_its_own_and_one_for_each_device() -> None:
    value = an_event(OPERATION, workspaces=devices("ws-1", "ws-2", "ws-3"))
    deliveries = matched(value, a_webhook(OPERATION, id="whole"), a_webhook(DEVICE, id="each"))
    assert [(delivery.webhook_id, delivery.event_type, delivery.workspace_id) for delivery in deliveries] == [
        ("whole", OPERATION, ""),
        ("each", DEVICE, "ws-1"),
        ("each", DEVICE, "ws-2"),
        ("each", DEVICE, "ws-3"),
    ]
    assert b"ws-2" in deliveries[2].body


def test_a_device_twice_in_an_operation_is_one_message() -> None:
    value = an_event(OPERATION, workspaces=devices("ws-1", "ws-2", "ws-1"))
    assert [delivery.workspace_id for delivery in matched(value, a_webhook(DEVICE))] == ["ws-1", "ws-2"]


def test_devices_of_an_operation_that_a_webhook_does_not_select() -> None:
    value = an_event(OPERATION, workspaces=devices("ws-1"))
    assert not matched(value, a_webhook(DEVICE, items=Items(ids=("another",))))


def test_an_operation_on_no_devices() -> None:
    assert not matched(an_event(OPERATION), a_webhook(DEVICE))
    assert not matched(an_event(OPERATION, workspaces=[]), a_webhook(DEVICE))


def test_devices_are_not_looked_at_where_nobody_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    event = read_event(an_event(OPERATION, workspaces=devices("ws-1")))

    def never(_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(type(event), "devices", never)
    assert len(list(match(event, following(a_webhook(OPERATION)).directory, NOON))) == 1


IDS = st.text(min_size=1, max_size=8)


@given(st.lists(IDS, min_size=1, max_size=6, unique=True), IDS)
def test_a_device_is_the_same_message_by_whichever_way_it_arrives(workspaces: list[str], operation_id: str) -> None:
    webhooks = [a_webhook(DEVICE, id="wh-1"), a_webhook(DEVICE, id="wh-2")]
    inside = matched(an_event(OPERATION, operation_id=operation_id, workspaces=devices(*workspaces)), *webhooks)
    single = [
        delivery
        for number, workspace_id in enumerate(workspaces)
        for delivery in matched(
            an_event(DEVICE, id=f"single-{number}", operation_id=operation_id, workspace_id=workspace_id), *webhooks
        )
    ]
    assert [delivery.message_id for delivery in inside] == [delivery.message_id for delivery in single]
    assert len({delivery.message_id for delivery in inside}) == 2 * len(workspaces)
    expected = message_of_device("wh-1", ORGANIZATION, operation_id, workspaces[0])
    assert inside[0].message_id == expected


ORGANIZATIONS = st.sampled_from(["org-1", "org-2", "org-3"])


@given(
    st.lists(st.tuples(ORGANIZATIONS, st.sampled_from(EventType), st.booleans(), st.booleans()), max_size=12),
    ORGANIZATIONS,
    st.sampled_from(EventType),
)
def test_exactly_the_enabled_webhooks_of_the_organization_that_want_the_item(
    configured: list[tuple[str, EventType, bool, bool]], organization_id: str, event_type: EventType
) -> None:
    webhooks = [
        a_webhook(
            of_type,
            id=f"wh-{number}",
            organization_id=owner,
            status="enabled" if enabled else "disabled",
            items=Items(ids=("item-1",)) if selecting else Items(ids=("item-2",)),
        )
        for number, (owner, of_type, enabled, selecting) in enumerate(configured)
    ]
    deliveries = matched(an_event(event_type, organization_id=organization_id), *webhooks)
    assert {delivery.webhook_id for delivery in deliveries} == {
        webhook.id
        for webhook in webhooks
        if webhook.organization_id == organization_id
        and webhook.event_type is event_type
        and webhook.enabled
        and webhook.items.include("item-1")
    }
    assert all(delivery.organization_id == organization_id for delivery in deliveries)


def test_a_body_of_the_largest_size_is_sent_and_a_larger_one_is_not() -> None:
    webhook = a_webhook(EventType.ACTIVE_ALERT, payload_template={"a": "#alert_name"})
    around = len(b'{"a":""}')
    event = read_event(an_event(EventType.ACTIVE_ALERT, alert_name="x" * (MAX_BODY_BYTES - around)))
    (fits,) = match(event, following(webhook).directory, NOON)
    assert isinstance(fits, Delivery)
    assert len(fits.body) == MAX_BODY_BYTES
    event = read_event(an_event(EventType.ACTIVE_ALERT, alert_name="x" * (MAX_BODY_BYTES - around + 1)))
    (too_large,) = match(event, following(webhook).directory, NOON)
    assert isinstance(too_large, TooLarge)
    assert too_large.size == MAX_BODY_BYTES + 1
    assert too_large.delivery.body == b""
    assert too_large.delivery.message_id == fits.message_id
    assert too_large.target_url == webhook.target_url


def test_all_of_an_event_follows_one_state_of_the_directory() -> None:
    follower = following(a_webhook(DEVICE, id="wh-1"))
    event = read_event(an_event(OPERATION, workspaces=devices("ws-1", "ws-2")))
    results = match(event, follower.directory, NOON)
    first = next(results)
    follower.directory.apply(1, "wh-1", None, revision=2, base=1)
    follower.directory.apply(2, "wh-2", a_webhook(DEVICE, id="wh-2"), revision=1, base=0)
    deliveries = [first, *results]
    assert [each.webhook_id for each in deliveries if isinstance(each, Delivery)] == ["wh-1", "wh-1"]
    assert [each.config_offset for each in deliveries if isinstance(each, Delivery)] == [1, 1]
