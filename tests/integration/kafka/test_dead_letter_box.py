"""Dead letters on a real Kafka: listed, sent again to where they came from, and not twice."""

import asyncio
import json

import pytest
from aiokafka import ConsumerRecord
from typer.testing import CliRunner

from dispatcher.cli.dead_letters import app
from dispatcher.errors import ConfigurationError
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.dead_letter_box import REPLAYED, DeadLetterBox, Selection
from dispatcher.kafka.dead_letters import DeadLetters
from dispatcher.kafka.groups import Group
from dispatcher.kafka.sole_member import SomebodyElse, sole_member
from dispatcher.kafka.topics import Topics, load_topics
from dispatcher.settings import PREFIX, Settings
from tests.support.kafka import consume_all


async def set_aside(clients: KafkaClients, topics: Topics, topic: str, *values: bytes, partition: int = 0) -> None:
    """Write records to a topic, and set them aside as a role that reads it would."""
    async with clients.producer() as producer:
        letters = DeadLetters(producer, topics.dead_letter)
        for value in values:
            stored = await producer.send_and_wait(
                topic, value, key=b"key", headers=[("v", b"99"), ("x", value)], partition=partition
            )
            record = ConsumerRecord(
                topic, partition, stored.offset, stored.timestamp, 1, b"key", value, None, 3, len(value), [("v", b"99")]
            )
            record.headers = [("v", b"99"), ("x", value)]
            await letters.send(record, f"cannot read {value.decode()}")


async def replay(box: DeadLetterBox, selection: Selection) -> int:
    found = await box.sort(await box.letters(selection))
    return await box.replay(found.sendable, lambda _: None)


async def test_letters_go_back_to_their_partition_as_they_came_and_only_once(
    clients: KafkaClients, topics: Topics
) -> None:
    box = DeadLetterBox(clients, topics)
    await set_aside(clients, topics, topics.deliveries, *(b"d%d" % n for n in range(250)), partition=2)
    await set_aside(clients, topics, topics.commands, b"c")
    letters = await box.letters(Selection())
    assert len(letters) == 251
    assert letters[0].reason == "cannot read c"
    told: list[int] = []
    found = await box.sort(letters)
    assert await box.replay(found.sendable, told.append) == 251
    assert told[-1] == 251
    assert len(told) > 2
    again = (await consume_all(clients, topics.deliveries))[250:]
    assert {(each.key, each.value, each.partition) for each in again} == {(b"key", b"d%d" % n, 2) for n in range(250)}
    assert {tuple(each.headers) for each in again} == {(("v", b"99"), ("x", b"d%d" % n)) for n in range(250)}
    assert await box.letters(Selection()) == []
    assert await replay(box, Selection()) == 0
    assert await box.replay(found.sendable, told.append) == 0
    assert len(await consume_all(clients, topics.deliveries)) == 500
    assert len(await box.letters(Selection(replayed_too=True))) == 251


async def test_some_are_sent_and_the_others_wait(clients: KafkaClients, topics: Topics) -> None:
    box = DeadLetterBox(clients, topics)
    await set_aside(clients, topics, topics.attempts, b"one", b"two", b"three")
    await set_aside(clients, topics, topics.parked, b"one")
    (two,) = await box.letters(Selection(reason="read TWO"))
    assert await replay(box, Selection(places=[two.place])) == 1
    assert await replay(box, Selection(topic="webhooks.parked")) == 1
    assert {letter.value for letter in await box.letters(Selection())} == {"one", "three"}
    assert await replay(box, Selection(reason="two")) == 0
    assert await replay(box, Selection(reason="two", replayed_too=True)) == 1
    values = [each.value for each in await consume_all(clients, topics.attempts)]
    assert sorted(values) == [b"one", b"three", b"two", b"two", b"two"]


async def test_two_replays_at_once_do_not_send_twice(clients: KafkaClients, topics: Topics) -> None:
    box = DeadLetterBox(clients, topics)
    await set_aside(clients, topics, topics.deliveries, *(b"d%d" % n for n in range(50)))
    results = await asyncio.gather(*(replay(box, Selection()) for _ in range(2)), return_exceptions=True)
    assert all(isinstance(result, SomebodyElse) or result in {0, 50} for result in results), results
    await replay(box, Selection())
    assert len(await consume_all(clients, topics.deliveries)) == 100


async def test_whoever_holds_the_lock_is_alone(clients: KafkaClients, topics: Topics) -> None:
    async with sole_member(clients, topics.dead_letter, topics.group(Group.DEAD_LETTERS)):
        with pytest.raises(SomebodyElse, match="wait until it has ended"):
            async with sole_member(clients, topics.dead_letter, topics.group(Group.DEAD_LETTERS)):
                pass
    async with sole_member(clients, topics.dead_letter, topics.group(Group.DEAD_LETTERS)):
        pass


async def test_a_foreign_record_is_shown_and_left(clients: KafkaClients, topics: Topics) -> None:
    box = DeadLetterBox(clients, topics)
    async with clients.producer() as producer:
        await producer.send_and_wait(topics.dead_letter, b"\x1b[2J")
    found = await box.sort(await box.letters(Selection()))
    assert [(letter.value, why) for letter, why in found.left] == [
        ("\\x1b[2J", "it was not put here by the dispatcher")
    ]
    assert found.sendable == []


async def test_what_only_looks_like_a_marker_is_shown_and_left(clients: KafkaClients, topics: Topics) -> None:
    box = DeadLetterBox(clients, topics)
    await set_aside(clients, topics, topics.deliveries, b"one")
    async with clients.producer() as producer:
        for value in (b"9" * 5_000, b"0," + b"1" * 20):
            await producer.send_and_wait(topics.dead_letter, value, headers=[(REPLAYED, b"1")])
    assert len(await box.letters(Selection())) == 3
    assert await replay(box, Selection()) == 1


async def command(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setenv(f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS", settings.kafka_bootstrap_servers or "")
    monkeypatch.setenv(f"{PREFIX}KAFKA_PREFIX", settings.kafka_prefix)
    monkeypatch.setenv(f"{PREFIX}TOPICS_FILE", str(settings.topics_file))
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    return result.exit_code, result.stdout, result.stderr


async def test_the_commands(
    clients: KafkaClients, topics: Topics, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await set_aside(clients, topics, topics.deliveries, b"one", b"two")
    await set_aside(clients, topics, topics.config, b"three")
    status, out, _ = await command(settings, monkeypatch, "list", "--json", "--limit", "1")
    assert status == 0
    (letter,) = json.loads(out)
    assert (letter["reason"], letter["origin"]["topic"], letter["key"], letter["value"], letter["replayed"]) == (
        *("cannot read three", topics.config, "key", "three"),
        False,
    )
    status, out, _ = await command(settings, monkeypatch, "list", "--topic", "webhooks.deliveries")
    assert "cannot read two" in out
    assert "2 dead letters." in out
    assert "three" not in out
    status, out, _ = await command(settings, monkeypatch, "replay", "--dry-run")
    assert "2 would be sent again." in out
    status, out, err = await command(settings, monkeypatch, "replay")
    assert (status, out) == (0, "2 sent again.\n")
    assert "which is read from its beginning whenever a portal starts" in err
    status, out, _ = await command(settings, monkeypatch, "replay", "--json")
    assert status == 1
    assert (json.loads(out)["sent"], len(json.loads(out)["left"])) == (0, 1)
    status, out, err = await command(settings, monkeypatch, "replay", "--partition", "0", "--offset", "99")
    assert (status, out) == (1, "Nothing to send again.\n")
    assert "0/99 is left: no such dead letter was chosen" in err
    status, *_ = await command(settings, monkeypatch, "replay", "--offset", "1")
    assert status == 2


async def test_a_cluster_without_topics_is_one_clear_error(clients: KafkaClients, settings: Settings) -> None:
    topics = load_topics(settings.topics_file, f"{settings.kafka_prefix}none.")
    with pytest.raises(ConfigurationError, match="run `dispatcher topics apply` first"):
        await DeadLetterBox(clients, topics).letters(Selection())
