from dispatcher.demo.demonstration import shown
from dispatcher.demo.targets import Addresses
from dispatcher.demo.webhooks import demo_webhooks
from dispatcher.events.simulator.portal import DEFAULT_ORGANIZATIONS
from dispatcher.events.types import EventType

AT = Addresses(1001, 1002)


def test_every_event_type_and_every_target_has_a_webhook() -> None:
    webhooks = [webhook for organization in DEFAULT_ORGANIZATIONS for webhook in demo_webhooks(organization, AT)]
    assert {webhook["event_type"] for webhook in webhooks} == set(EventType)
    targets = {AT.well, AT.badly, AT.slowly, AT.hanging, AT.gone, AT.nobody}
    assert {webhook["target_url"] for webhook in webhooks} == targets


def test_no_two_webhooks_of_an_organization_are_the_same() -> None:
    for organization in DEFAULT_ORGANIZATIONS:
        webhooks = demo_webhooks(organization, AT)
        assert len({webhook["name"] for webhook in webhooks}) == len(webhooks)


def test_counts_are_shown_in_words() -> None:
    assert shown({"successful": 5, "pending": 2}) == "5 succeeded, 0 failed, 2 waiting, 0 in progress"
