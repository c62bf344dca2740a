"""A group that is added is known to whoever watches groups: `dispatcher lag`, the alerts, the guide."""

import re
from pathlib import Path

import pytest
import yaml

from dispatcher.kafka.groups import Group
from dispatcher.kafka.topics import Topics, load_topics
from dispatcher.operations.consumers import NAMES, readers
from dispatcher.settings import default_topics_file
from tests.support.metric_names import ROOT
from tests.support.runbook import GUIDE

WORKING = set(Group) - {Group.DEAD_LETTERS}
"""Everybody but the one that only keeps a second replay out."""


@pytest.fixture
def topics() -> Topics:
    return load_topics(default_topics_file(), "contoso.")


def test_every_group_is_measured(topics: Topics) -> None:
    found = readers(topics, ())
    assert {reader.name for reader in found} == WORKING == set(NAMES)
    assert {reader.group for reader in found} == {f"contoso.webhooks.{group}" for group in WORKING}


def test_groups_read_topics_that_are_declared(topics: Topics) -> None:
    declared = {topic.name for topic in topics.declared}
    for reader in readers(topics, ()):
        assert reader.topics
        assert declared.issuperset(reader.topics)


def test_retry_topics_of_an_earlier_schedule_are_the_relays_too(topics: Topics) -> None:
    earlier = "contoso.webhooks.retry.7m"
    [relay] = [reader for reader in readers(topics, {earlier, *topics.retry.values()}) if reader.name == Group.RELAY]
    assert set(relay.topics) == {earlier, *topics.retry.values()}


def test_without_retries_nobody_misses_a_relay(tmp_path: Path) -> None:
    content = yaml.safe_load(default_topics_file().read_text(encoding="utf-8"))
    (tmp_path / "topics.yaml").write_text(yaml.safe_dump({**content, "retry": {"schedule": ["0s"]}}), encoding="utf-8")
    topics = load_topics(tmp_path / "topics.yaml", "contoso.")
    assert {reader.name for reader in readers(topics, ())} == WORKING - {Group.RELAY}
    earlier = "contoso.webhooks.retry.7m"
    [relay] = [reader for reader in readers(topics, {earlier}) if reader.name == Group.RELAY]
    assert relay.topics == (earlier,)


def test_an_alert_is_about_each_group() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))
    of_alerts = [rule["expr"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    named = {
        name for expr in of_alerts for listed in re.findall(r'group=~?"([^"]+)"', expr) for name in listed.split("|")
    }
    assert named == WORKING


def test_the_guide_tells_of_each_group(topics: Topics) -> None:
    table = GUIDE.split("\n## Lag\n")[1].split("| group | does |\n")[1].split("\n\n")[0]
    of_the_portal = {reader.name for reader in readers(topics, ()) if reader.role == "portal"}
    assert set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)) == of_the_portal
