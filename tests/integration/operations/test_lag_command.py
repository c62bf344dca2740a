"""``dispatcher lag`` beside a real Kafka."""

import asyncio
import json
import re
from typing import Any

from aiokafka import TopicPartition

from dispatcher.kafka.administration import connected
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.groups import Group
from dispatcher.kafka.topics import Topics
from dispatcher.operations.lag_meter import LagMeter
from tests.support.commands import Command
from tests.support.waiting import eventually

QUICK = ("--interval", "50ms")


async def write(clients: KafkaClients, topic: str, *sizes: int, partition: int = 0) -> None:
    producer = clients.producer()
    await producer.start()
    try:
        for size in sizes:
            await producer.send_and_wait(topic, b"x" * size, partition=partition)
    finally:
        await producer.stop()


async def commit(clients: KafkaClients, group: str, topic: str, offset: int) -> None:
    consumer = clients.consumer(group=group)
    consumer.assign([TopicPartition(topic, 0)])
    await consumer.start()
    try:
        await consumer.commit({TopicPartition(topic, 0): offset})
    finally:
        await consumer.stop()


def of_topic(found: dict[str, Any], group: str, topic: str) -> dict[str, Any]:
    [one] = [each for each in found["groups"] if each["group"] == group]
    [row] = [each for each in one["topics"] if each["topic"] == topic]
    assert isinstance(row, dict)
    return row


async def test_what_waits_and_that_nobody_reads_it(clients: KafkaClients, topics: Topics, command: Command) -> None:
    # The first of these records is larger than what the command fetches at once.
    await write(clients, topics.deliveries, 10, 2_000_000, 10)
    await commit(clients, topics.group(Group.SENDER), topics.deliveries, 1)
    found = json.loads(command("lag", "--json", *QUICK).stdout)
    of_sender = of_topic(found, topics.group(Group.SENDER), topics.deliveries)
    of_recorder = of_topic(found, topics.group(Group.RECORDER), topics.deliveries)
    assert (of_sender["lag"], of_recorder["lag"]) == (2, 3)
    assert of_sender["level"] == "problem"
    assert of_sender["verdict"] == "nobody reads it"
    assert 0 <= of_sender["oldest_seconds"] <= of_recorder["oldest_seconds"] < 60
    assert [each["lag"] for each in of_sender["partitions"]] == [2, 0, 0]
    assert found["missing_topics"] == []
    assert abs(found["broker_clock_ahead_ms"]) < 2_000

    done = command("lag", *QUICK)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("✗ Behind: ")
    assert max(map(len, lines)) <= 80
    assert "dispatcher run sender" in done.stdout


async def test_what_is_overdue_and_what_waits_until_it_is_due(
    clients: KafkaClients, topics: Topics, command: Command
) -> None:
    short, long = sorted(topics.retry)
    meter = LagMeter(clients, topics, seconds=0.01)
    # More than 5 KB a record, so that the broker has entries in its index of times.
    await write(clients, topics.retry[short], 5_000, 5_000)

    async def due() -> bool:
        [relay] = [group for group in (await meter.measure()).groups if group.reader.name == "relay"]
        return all(topic.total.not_due == 0 for topic in relay.topics)

    await eventually(due, what="the records are due")
    await write(clients, topics.retry[long], 10)
    found = json.loads(command("lag", "--json", "--group", "relay", *QUICK).stdout)
    overdue = of_topic(found, topics.group(Group.RELAY), topics.retry[short])
    assert (overdue["lag"], overdue["not_due"], overdue["behind"]) == (2, 0, 2)
    assert overdue["oldest_seconds"] < 60
    waiting = of_topic(found, topics.group(Group.RELAY), topics.retry[long])
    assert waiting["lag"] == 1
    assert [group["role"] for group in found["groups"]] == ["relay"]


async def test_members_rates_and_unassigned_partitions(clients: KafkaClients, topics: Topics, command: Command) -> None:
    await write(clients, topics.deliveries, *([10] * 20))
    group = topics.group(Group.SENDER)
    consumer = clients.consumer(topics.deliveries, group=group)
    await consumer.start()
    try:
        place = TopicPartition(topics.deliveries, 0)
        await consumer.commit({place: 5})
        measuring = LagMeter(clients, topics, seconds=0.01, monotonic=iter([0.0, 10.0, *([10.0] * 100)]).__next__)
        measured = await measuring.measure()
        shown = await asyncio.to_thread(command, "lag", *QUICK, "--group", "sender", "--partitions")
    finally:
        await consumer.stop()
    [sender] = [each for each in measured.groups if each.reader.name == "sender"]
    [deliveries] = [each for each in sender.topics if each.topic == topics.deliveries]
    assert sender.membership.members == 1
    assert deliveries.unassigned == ()
    assert deliveries.total.lag == 15
    assert {each.host for each in deliveries.partitions} == {"127.0.0.1"}
    assert re.search(r"^ +0  127\.0\.0\.1 +15 ", shown.stdout, re.MULTILINE)
    [parked] = [each for each in sender.topics if each.topic == topics.parked]
    assert parked.unassigned == (0, 1, 2)
    assert parked.verdict[1] == "partitions 0, 1, 2 of 3 unassigned"


async def test_the_exit_status_says_that_too_much_waits(
    clients: KafkaClients, topics: Topics, command: Command
) -> None:
    await write(clients, topics.attempts, 10, 10)
    assert command("lag", *QUICK, "--fail-above", "2").returncode == 0
    assert command("lag", *QUICK, "--fail-above", "1").returncode == 2
    assert command("lag", *QUICK, "--fail-above", "1", "--group", "matcher").returncode == 0
    assert command("lag", *QUICK, "--fail-older", "1h").returncode == 0
    assert command("lag", *QUICK, "--fail-older", "1ms").returncode == 2


def test_a_wrong_prefix_is_told_and_not_to_be_applied(command: Command) -> None:
    done = command("lag", *QUICK, KAFKA_PREFIX="nobodys.")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "✗ None of our topics is there: is DISPATCHER_KAFKA_PREFIX right?"
    assert "In a new installation run `dispatcher topics apply`" in lines[1]


async def test_a_missing_topic_comes_first(clients: KafkaClients, topics: Topics, command: Command) -> None:
    async with connected(clients) as admin:
        await admin.delete_topics([topics.audit])

    async def told() -> bool:
        return command("lag", *QUICK).stdout.startswith("✗ 1 topic missing: run `dispatcher topics apply`\n")

    await eventually(told, timeout=20, what="the topic is gone")


def test_no_broker_is_one_clear_line(command: Command) -> None:
    done = command("lag", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "DISPATCHER_KAFKA_BOOTSTRAP_SERVERS" in done.stderr


def test_a_group_that_there_is_not_is_named(command: Command) -> None:
    done = command("lag", "--group", "sneder")
    assert done.returncode == 2
    assert "sneder is none of matcher, sender" in done.stderr
