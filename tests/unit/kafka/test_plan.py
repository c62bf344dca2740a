from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.errors import ConfigurationError
from dispatcher.kafka.plan import AddPartitions, AlterConfig, Cluster, CreateTopic, Plan, PresentTopic, plan
from dispatcher.kafka.topics import Topics, load_topics
from dispatcher.settings import default_topics_file

TOPICS = load_topics(default_topics_file(), "p.")
EMPTY = Cluster(brokers=1, topics={})


def after(cluster: Cluster, changes: Plan) -> Cluster:
    """What a cluster is like when a plan was carried out."""
    topics = dict(cluster.topics)
    for change in changes.changes:
        match change:
            case CreateTopic():
                assert change.topic not in topics
                topics[change.topic] = PresentTopic(change.partitions, change.replication_factor, change.config)
            case AddPartitions():
                assert topics[change.topic].partitions == change.present < change.wanted
                topics[change.topic] = replace(topics[change.topic], partitions=change.wanted)
            case AlterConfig():
                present = topics[change.topic]
                topics[change.topic] = replace(present, config={**present.config, **change.wanted})
    return Cluster(cluster.brokers, topics)


AS_DECLARED = after(EMPTY, plan(TOPICS, EMPTY))


def with_topic(name: str, **members: object) -> Cluster:
    present = replace(AS_DECLARED.topics[name], **members)  # type: ignore[arg-type]
    return Cluster(AS_DECLARED.brokers, {**AS_DECLARED.topics, name: present})


presents = st.builds(
    PresentTopic,
    partitions=st.integers(1, 20),
    replication_factor=st.integers(1, 3),
    config=st.dictionaries(
        st.sampled_from(["retention.ms", "cleanup.policy", "min.insync.replicas", "max.message.bytes", "other"]),
        st.sampled_from(["1", "604800000", "delete", "compact"]),
    ),
)
clusters = st.builds(
    Cluster,
    brokers=st.integers(1, 5),
    topics=st.dictionaries(
        st.sampled_from([topic.name for topic in TOPICS.declared] + ["p.webhooks.retry.9s", "p.portal.x", "other"]),
        presents,
    ),
)


@given(clusters)
def test_after_a_plan_was_carried_out_there_is_nothing_more_to_do(cluster: Cluster) -> None:
    carried_out = after(cluster, plan(TOPICS, cluster))
    assert plan(TOPICS, carried_out).changes == ()


@given(clusters)
def test_a_plan_keeps_every_topic_and_partition(cluster: Cluster) -> None:
    carried_out = after(cluster, plan(TOPICS, cluster))
    for name, present in cluster.topics.items():
        assert carried_out.topics[name].partitions >= present.partitions
        assert carried_out.topics[name].config.items() >= {
            item for item in present.config.items() if item[0] == "other"
        }


@given(clusters)
def test_compacted_topics_never_get_more_partitions(cluster: Cluster) -> None:
    grown = {change.topic for change in plan(TOPICS, cluster).changes if isinstance(change, AddPartitions)}
    assert not grown & {"p.portal.resources", "p.webhooks.config"}


@given(clusters)
def test_topics_of_others_are_not_touched(cluster: Cluster) -> None:
    found = plan(TOPICS, cluster)
    declared = {topic.name for topic in TOPICS.declared}
    assert {change.topic for change in found.changes} <= declared
    assert "other" not in {drift.topic for drift in found.drift}


def test_what_is_as_declared_needs_nothing() -> None:
    assert plan(TOPICS, AS_DECLARED) == Plan((), ())


def test_an_empty_cluster_gets_every_topic_once() -> None:
    found = plan(TOPICS, EMPTY)
    assert all(isinstance(change, CreateTopic) for change in found.changes)
    assert sorted(change.topic for change in found.changes) == sorted(topic.name for topic in TOPICS.declared)


def test_the_deliveries_grow_after_what_their_senders_read() -> None:
    fewer = {
        name: replace(present, partitions=min(present.partitions, 4)) for name, present in AS_DECLARED.topics.items()
    }
    grown = [
        change.topic
        for change in plan(TOPICS, Cluster(1, fewer)).changes
        if isinstance(change, AddPartitions) and "webhooks" in change.topic
    ]
    assert grown[-1] == "p.webhooks.deliveries"
    assert {"p.webhooks.attempts", "p.webhooks.parked", "p.webhooks.retry.10h"} <= set(grown[:-1])


@pytest.mark.parametrize(
    ("cluster", "topic", "problem"),
    [
        (with_topic("p.webhooks.config", partitions=3), "p.webhooks.config", "has 3 partitions, and must have one"),
        (with_topic("p.webhooks.audit", partitions=2), "p.webhooks.audit", "has 2 partitions, 1 are declared"),
        (with_topic("p.webhooks.audit", replication_factor=2), "p.webhooks.audit", "has 2 replicas, 1 are declared"),
        (
            Cluster(1, {**AS_DECLARED.topics, "p.webhooks.retry.7s": PresentTopic(1, 1, {})}),
            "p.webhooks.retry.7s",
            "is not in retry.schedule",
        ),
        (Cluster(1, {**AS_DECLARED.topics, "p.portal.x": PresentTopic(1, 1, {})}), "p.portal.x", "is not declared"),
    ],
)
def test_what_cannot_be_put_right_is_told(cluster: Cluster, topic: str, problem: str) -> None:
    found = plan(TOPICS, cluster)
    assert found.changes == ()
    (drift,) = found.drift
    assert drift.topic == topic
    assert drift.problem.startswith(problem)


def test_a_setting_that_differs_is_shown_with_both_values() -> None:
    audit = AS_DECLARED.topics["p.webhooks.audit"]
    cluster = with_topic("p.webhooks.audit", config={**audit.config, "retention.ms": "-1"})
    (change,) = plan(TOPICS, cluster).changes
    assert change.as_json() == {
        "topic": "p.webhooks.audit",
        "action": "alter_config",
        "config": {"retention.ms": {"from": "-1", "to": "34560000000"}},
    }
    assert change.describe() == "retention.ms -1 → 400d, Kafka then removes the older records"


def test_replication_follows_the_number_of_brokers() -> None:
    found = plan(TOPICS, Cluster(brokers=4, topics={}))
    assert {
        (change.replication_factor, change.config["min.insync.replicas"])
        for change in found.changes
        if isinstance(change, CreateTopic)
    } == {(3, "2")}


@pytest.mark.parametrize(
    ("before", "instead", "message"),
    [
        ("{brokers: 1, replication_factor: 1", "{brokers: 1, replication_factor: 2", "asks for 2 replicas and the"),
        ("replication_factor: 1, min_insync_replicas: 1", "replication_factor: 1, min_insync_replicas: 2", "lower it"),
    ],
)
def test_replication_that_cannot_be_is_refused(tmp_path: Path, before: str, instead: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        plan(changed_topics(tmp_path, before, instead), EMPTY)


def changed_topics(tmp_path: Path, before: str, instead: str) -> Topics:
    text = default_topics_file().read_text(encoding="utf-8")
    assert before in text
    file = tmp_path / "topics.yaml"
    file.write_text(text.replace(before, instead), encoding="utf-8")
    return load_topics(file)
