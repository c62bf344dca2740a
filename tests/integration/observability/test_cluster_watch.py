"""The metrics of consumer groups and retry topics, from a real Kafka."""

from prometheus_client import REGISTRY

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.groups import Group
from dispatcher.kafka.topics import Topics
from dispatcher.operations.cluster_watch import ClusterWatch, forget
from tests.support.waiting import eventually


def sample(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"dispatcher_{name}", labels)


async def test_tells_what_waits_and_who_works(clients: KafkaClients, topics: Topics) -> None:
    producer = clients.producer()
    await producer.start()
    try:
        for _ in range(3):
            await producer.send_and_wait(topics.deliveries, b"x", key=b"k")
        for topic in topics.retry.values():
            await producer.send_and_wait(topic, b"x", key=b"k")
    finally:
        await producer.stop()
    watch = ClusterWatch(clients, topics, every=0.05)
    await watch.start()
    try:
        group = {"group": "sender", "topic": topics.deliveries}
        # In these tests retries wait for a second and for two.
        await eventually(lambda: sample("retries_overdue", delay="2s") == 1, timeout=30, what="an overdue attempt")
        assert sample("retries_waiting", delay="2s") == 0
        assert sample("retries_overdue", delay="1s") == 1
        assert (sample("retries_overdue_seconds", delay="1s") or 0) >= 1
        assert sample("group_lag_records", **group) == 3
        assert (sample("group_oldest_seconds", **group) or 0) >= 2
        assert sample("group_unassigned_partitions", **group) == 3
        assert sample("group_lost_records", **group) == 0
        assert sample("group_members", group="sender") == 0
        async with clients.consumer(topics.deliveries, topics.parked, group=topics.group(Group.SENDER)):
            await eventually(lambda: sample("group_members", group="sender") == 1, timeout=30, what="a member")
    finally:
        await watch.stop()
    forget()
    assert sample("group_members", group="sender") is None
