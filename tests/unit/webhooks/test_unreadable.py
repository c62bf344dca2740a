"""How many webhooks cannot be read now: what the alert is on."""

import time

import pytest
from aiokafka import ConsumerRecord
from cryptography.fernet import Fernet
from prometheus_client import REGISTRY

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import load_topics
from dispatcher.observability.metrics import show_unreadable
from dispatcher.settings import Settings, default_topics_file
from dispatcher.webhooks.change import Headers, Place, write_webhook
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.readability import Readability
from dispatcher.webhooks.vault import Vault
from tests.support.webhooks import a_webhook

OURS, LOST = (Vault(Fernet.generate_key().decode()) for _ in range(2))


def a_record(offset: int, key: str, value: bytes | None, headers: Headers) -> ConsumerRecord:
    now = round(time.time() * 1000)
    return ConsumerRecord(
        "webhooks.config", 0, offset, now, 0, key.encode(), value, None, len(key), len(value or b""), tuple(headers)
    )


def written(offset: int, place: Place, vault: Vault | None) -> ConsumerRecord:
    value = None if vault is None else write_webhook(a_webhook(place.webhook_id), vault)
    return a_record(offset, place.webhook_id, value, place.headers())


@pytest.fixture
def follower() -> ConfigFollower:
    clients = KafkaClients(Settings(kafka_bootstrap_servers="127.0.0.1:1"))
    return ConfigFollower(clients, load_topics(default_topics_file()), OURS)


def test_a_webhook_counts_until_it_can_be_read_or_is_deleted(follower: ConfigFollower) -> None:
    show_unreadable(lambda: len(follower.unreadable))
    seen = Readability(OURS)

    def counted(record: ConsumerRecord) -> float | None:
        follower._apply(record)
        seen.apply(record)
        assert follower.unreadable == {*seen.undecipherable, *seen.of_another_version}
        return REGISTRY.get_sample_value("dispatcher_webhooks_unreadable")

    assert counted(written(0, Place("wh-1", 1, 0), LOST)) == 1
    assert counted(written(1, Place("wh-2", 1, 0), LOST)) == 2
    assert counted(a_record(2, "wh-3", b"of tomorrow", [("v", b"2")])) == 3
    assert counted(a_record(3, "", b"no webhook's", [("v", b"1")])) == 3
    assert counted(written(4, Place("wh-1", 2, 1), OURS)) == 2
    assert counted(written(5, Place("wh-2", 2, 1), None)) == 1
    assert counted(written(6, Place("wh-3", 1, 0), OURS)) == 0


def test_what_a_loser_wrote_does_not_count(follower: ConfigFollower) -> None:
    follower._apply(written(0, Place("wh-1", 2, 1), OURS))
    follower._apply(written(1, Place("wh-1", 2, 1), LOST))
    assert follower.unreadable == set()


def test_a_webhook_may_want_events_of_which_nothing_is_known_unless_it_was_enabled(follower: ConfigFollower) -> None:
    for number, status in enumerate(("enabled", "disabled")):
        place = Place(f"wh-{status}", 1, 0)
        value = write_webhook(a_webhook(place.webhook_id, status=status), OURS)
        follower._apply(a_record(number, place.webhook_id, value, place.headers()))
    assert follower.unknown == []
    for number, id in enumerate(("wh-enabled", "wh-disabled", "wh-new"), start=2):
        follower._apply(written(number, Place(id, 2, 1), LOST))
    follower._apply(a_record(5, "wh-of-tomorrow", b"of tomorrow", [("v", b"2")]))
    follower._apply(a_record(5, "not-ours", b"anything", []))
    follower._apply(a_record(5, "deleted-tomorrow", None, [("v", b"2")]))
    assert follower.unreadable == {
        "wh-enabled",
        "wh-disabled",
        "wh-new",
        "wh-of-tomorrow",
        "not-ours",
        "deleted-tomorrow",
    }
    assert set(follower.unknown) == {"wh-disabled", "wh-new", "wh-of-tomorrow"}
    follower._apply(written(6, Place("wh-disabled", 3, 2), OURS))
    for number, id in enumerate(("wh-new", "wh-of-tomorrow"), start=7):
        follower._apply(written(number, Place(id, 3, 2), None))
    assert follower.unknown == []


def test_what_is_no_change_makes_no_webhook_unreadable_that_is_known(follower: ConfigFollower) -> None:
    place = Place("wh-1", 1, 0)
    follower._apply(a_record(0, "wh-1", write_webhook(a_webhook("wh-1"), OURS), place.headers()))
    for number, id in enumerate(("wh-1", "wh-2"), start=1):
        follower._apply(a_record(number, id, b"anything", []))
    assert [follower.is_unreadable(id) for id in ("wh-1", "wh-2", "wh-3")] == [False, True, False]
    assert follower.unknown == []
