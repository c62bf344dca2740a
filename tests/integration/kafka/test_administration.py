import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from dispatcher.errors import ConfigurationError, KafkaUnavailable
from dispatcher.kafka.administration import TopicRefused, apply, check_topics, read_cluster
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.plan import AddPartitions, AlterConfig, CreateTopic, Plan, plan
from dispatcher.kafka.topics import Topics, load_topics
from dispatcher.settings import Settings
from tests.support.commands import Command
from tests.support.kafka import MakeTopics, consume_all, write_topics_file


async def changes(clients: KafkaClients, topics: Topics) -> Plan:
    return plan(topics, await read_cluster(clients, topics))


def declare(settings: Settings, **numbers: Any) -> Topics:
    return load_topics(write_topics_file(settings.topics_file, **numbers), settings.kafka_prefix)


async def test_what_was_applied_needs_nothing_more(clients: KafkaClients, topics: Topics) -> None:
    assert await changes(clients, topics) == Plan((), ())
    await check_topics(clients, topics)


async def test_another_schedule_and_more_partitions(clients: KafkaClients, topics: Topics, settings: Settings) -> None:
    async with clients.producer() as producer:
        await producer.send_and_wait(topics.deliveries, value=b"kept", key=b"wh-1")
    more = declare(settings, schedule=("0s", "1s", "3s"), partitions=4)
    with pytest.raises(ConfigurationError, match=r"retry\.3s is missing: run `dispatcher topics apply`"):
        await check_topics(clients, more)
    found = await changes(clients, more)
    assert {type(change) for change in found.changes} == {CreateTopic, AddPartitions}
    assert [drift.topic for drift in found.drift] == [f"{settings.kafka_prefix}webhooks.retry.2s"]
    told: list[Any] = []
    await apply(clients, found, told.append)
    assert set(map(id, told)) == set(map(id, found.changes))
    await check_topics(clients, more)
    assert (await changes(clients, more)).changes == ()
    async with clients.producer() as producer:
        assert await partitions_of(producer, more.attempts) == {0, 1, 2, 3}
    assert [record.value for record in await consume_all(clients, topics.deliveries)] == [b"kept"]


async def partitions_of(producer: AIOKafkaProducer, topic: str) -> set[int]:
    return set(await producer.partitions_for(topic))


async def test_only_the_settings_that_differ_are_altered(clients: KafkaClients, topics: Topics) -> None:
    foreign = AlterConfig(topics.audit, {"flush.ms": (None, "12345678"), "retention.ms": (None, "1000000")})
    await apply(clients, Plan((foreign,), ()))
    found = await changes(clients, topics)
    assert [change.topic for change in found.changes] == [topics.audit]
    await apply(clients, found)
    assert await changes(clients, topics) == Plan((), ())
    present = (await read_cluster(clients, topics)).topics[topics.audit]
    assert present.config["flush.ms"] == "12345678"


async def test_partitions_too_many_are_told_and_stay(
    clients: KafkaClients, make_topics: MakeTopics, settings: Settings
) -> None:
    await make_topics(partitions=4)
    fewer = declare(settings, partitions=2)
    found = await changes(clients, fewer)
    assert found.changes == ()
    assert {drift.topic for drift in found.drift} == {
        *fewer.of_deliveries,
    }
    await check_topics(clients, fewer)


async def test_unequal_numbers_of_partitions_are_refused(
    clients: KafkaClients, topics: Topics, settings: Settings, tmp_path: Path
) -> None:
    await apply(clients, Plan((AddPartitions(topics.attempts, 3, 5),), ()))
    with pytest.raises(ConfigurationError, match=r"5, .*: set deliveries\.partitions in topics\.yaml to 5 and run `"):
        await check_topics(clients, topics)
    refused = await asyncio.to_thread(Command(settings, tmp_path), "run", "sender")
    assert refused.returncode == 1
    assert "set deliveries.partitions in topics.yaml to 5 and run" in " ".join(refused.stderr.split())

    more = declare(settings, partitions=5)
    with pytest.raises(ConfigurationError, match=r"5, .*: run `dispatcher topics apply`"):
        await check_topics(clients, more)
    await apply(clients, await changes(clients, more))
    await check_topics(clients, more)


async def test_applied_by_two_at_once(clients: KafkaClients, topics: Topics) -> None:
    new = Plan((CreateTopic(f"{topics.prefix}other", 2, 1, {}),), ())
    await asyncio.gather(*(apply(clients, new) for _ in range(2)))
    await apply(clients, new)
    async with clients.producer() as producer:
        assert await partitions_of(producer, f"{topics.prefix}other") == {0, 1}


async def test_what_the_cluster_refuses_has_its_reason(clients: KafkaClients, topics: Topics) -> None:
    with pytest.raises(TopicRefused, match=r"cannot be altered: .*no-number"):
        await apply(clients, Plan((AlterConfig(topics.audit, {"retention.ms": (None, "no-number")}),), ()))
    with pytest.raises(TopicRefused, match=r"cannot be created: .*replication"):
        await apply(clients, Plan((CreateTopic(f"{topics.prefix}other", 1, 7, {}),), ()))


async def test_no_broker_answers(settings: Settings, topics: Topics) -> None:
    nobody = KafkaClients(settings, "127.0.0.1:1")
    with pytest.raises(KafkaUnavailable, match=r"Kafka does not answer at 127.0.0.1:1"):
        await read_cluster(nobody, topics)
    with pytest.raises(KafkaUnavailable):
        await check_topics(nobody, topics)


def dispatcher(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from dispatcher.cli import main; main()", "topics", *arguments],
        env={
            "DISPATCHER_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers or "",
            "DISPATCHER_KAFKA_PREFIX": settings.kafka_prefix,
            "DISPATCHER_TOPICS_FILE": str(settings.topics_file),
            "COLUMNS": "200",
        },
        capture_output=True,
        text=True,
        check=False,
    )


async def test_the_command_says_when_there_is_nothing_that_it_can_put_right(
    clients: KafkaClients, make_topics: MakeTopics, settings: Settings
) -> None:
    await make_topics(partitions=4)
    fewer = declare(settings, partitions=2)
    for command in ("plan", "apply"):
        told = dispatcher(settings, command)
        assert told.returncode == 0
        assert fewer.deliveries in told.stdout
        assert told.stdout.splitlines()[-1] == "Nothing to change."


async def test_the_command(settings: Settings, topics: Topics, clients: KafkaClients) -> None:
    same = dispatcher(settings, "plan", "--detailed-exitcode")
    assert (same.returncode, same.stdout) == (0, "Nothing to change: the topics are as declared.\n")
    await apply(clients, Plan((AlterConfig(topics.audit, {"retention.ms": (None, "1000000")}),), ()))
    different = dispatcher(settings, "plan", "--detailed-exitcode", "--json")
    assert different.returncode == 2
    assert json.loads(different.stdout) == {
        "changes": [
            {
                "topic": topics.audit,
                "action": "alter_config",
                "config": {"retention.ms": {"from": "1000000", "to": "34560000000"}},
            }
        ],
        "drift": [],
    }
    shown = dispatcher(settings, "plan")
    assert shown.returncode == 0
    assert f"{topics.audit}" in shown.stdout
    assert "1 change to make: run `dispatcher topics apply`." in shown.stdout
    applied = dispatcher(settings, "apply")
    assert applied.returncode == 0
    assert "1 change made." in applied.stdout
    assert json.loads(dispatcher(settings, "apply", "--json").stdout) == {"changes": [], "drift": []}
    unreachable = dispatcher(settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"}), "plan")
    assert (unreachable.returncode, unreachable.stdout) == (1, "")
    assert unreachable.stderr.startswith("error: Kafka does not answer at 127.0.0.1:1 ")
    assert unreachable.stderr.count("\n") == 1
