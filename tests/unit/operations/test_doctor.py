"""What single checks find, and what they say to do."""

from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from cryptography.fernet import Fernet

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.plan import AddPartitions, AlterConfig, CreateTopic, Drift, Plan
from dispatcher.kafka.topics import load_topics
from dispatcher.local_secrets import LocalSecrets
from dispatcher.operations.doctor import kafka
from dispatcher.operations.doctor.checkup import check_up
from dispatcher.operations.doctor.configuration import (
    check_authentication,
    check_encryption_key,
    check_names,
    check_schedule,
    read_settings,
)
from dispatcher.operations.doctor.finding import fine, split_advice
from dispatcher.operations.doctor.kafka import check_topics
from dispatcher.operations.doctor.machine import check_data_dir, judge_room
from dispatcher.operations.lag import Level
from dispatcher.settings import Settings, default_topics_file, load_settings

GIB = 1024**3


def test_each_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCHER_HTTP_PORT", "eighty")
    monkeypatch.setenv("DISPATCHER_AUTH_SECRET", "short")
    settings, findings = read_settings()
    assert settings is None
    assert {finding.subject for finding in findings} == {"DISPATCHER_HTTP_PORT", "DISPATCHER_AUTH_SECRET"}
    assert all(finding.level is Level.PROBLEM and finding.subject in (finding.remedy or "") for finding in findings)
    assert not any("short" in finding.found for finding in findings)


async def test_a_file_of_settings_that_cannot_be_read_is_all_that_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "settings"
    file.write_bytes(b"DISPATCHER_HTTP_PORT=\xff")
    monkeypatch.setitem(Settings.model_config, "env_file", file)
    [section] = [section async for section in check_up(0.0, applying=False)]
    [finding] = section.findings
    assert (finding.subject, finding.level) == (".env", Level.PROBLEM)
    assert (finding.found, finding.remedy) == (f"{file} is not UTF-8 in line 1", "write it as UTF-8, or remove it")


def test_a_misspelt_variable_is_told_with_the_right_one() -> None:
    misspelt, told = check_names(["DISPATCHER_HTTP_PROT", "DISPATCHER_DATA_DIR", "DISPATCHER_TEST_KAFKA", "PATH"])
    assert (misspelt.subject, misspelt.level) == ("DISPATCHER_HTTP_PROT", Level.NOTICE)
    assert misspelt.remedy == "set DISPATCHER_HTTP_PORT"
    assert told.found == "1 variable set, all can be read"


def test_the_schedule_in_words() -> None:
    assert check_schedule(load_topics(default_topics_file())).found == "8 attempts, the last 1d 3h after the first"


@pytest.mark.parametrize(("embedded", "level"), [(True, Level.NOTICE), (False, Level.PROBLEM)])
async def test_a_secret_that_is_missing_is_made_by_up_alone(embedded: bool, level: Level) -> None:
    vault, key = check_encryption_key(LocalSecrets(None, None), embedded=embedded)
    assert vault is None
    assert key.level is level
    assert (await check_authentication(load_settings(), embedded=embedded)).level is level


async def test_a_provider_that_does_not_answer_with_keys() -> None:
    found = await check_authentication(load_settings(auth_jwks_url="http://127.0.0.1:1/keys"), embedded=False)
    assert found.level is Level.PROBLEM
    assert "http://127.0.0.1:1/keys" in found.found


@pytest.mark.parametrize(
    ("change", "level"),
    [
        (CreateTopic("webhooks.attempts", 12, 1, {}), Level.PROBLEM),
        (AddPartitions("webhooks.attempts", 6, 12), Level.PROBLEM),
        (AlterConfig("webhooks.attempts", {"max.message.bytes": ("1048588", "8454144")}), Level.PROBLEM),
        (AlterConfig("webhooks.attempts", {"retention.ms": ("1000", "2000")}), Level.PROBLEM),
        (AlterConfig("webhooks.attempts", {"segment.ms": ("1000", "2000")}), Level.NOTICE),
    ],
)
def test_topics_that_are_not_as_declared(change: Any, level: Level) -> None:
    [finding] = check_topics(Plan((change,), ()), load_topics(default_topics_file()))
    assert finding.level is level
    assert "webhooks.attempts" in finding.found
    assert "dispatcher topics apply" in (finding.remedy or "")


async def test_what_one_check_may_not_do_keeps_no_other_from_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = KafkaClients(load_settings(kafka_bootstrap_servers="kafka.test:9092"))
    refused = clients.unavailable(TopicAuthorizationFailedError("webhooks.config"))
    plan = Plan((CreateTopic("webhooks.bulk", 12, 1, {}),), ())
    for name, check in {
        "check_broker": AsyncMock(return_value=[]),
        "topics_plan": AsyncMock(return_value=plan),
        "check_webhooks": AsyncMock(side_effect=refused),
        "check_groups": AsyncMock(side_effect=refused),
        "check_dead_letters": AsyncMock(return_value=[fine("dead letters", "none")]),
    }.items():
        monkeypatch.setattr(kafka, name, check)
    monkeypatch.setenv("DISPATCHER_KAFKA_BOOTSTRAP_SERVERS", "kafka.test:9092")
    monkeypatch.setenv("DISPATCHER_ENCRYPTION_KEY", Fernet.generate_key().decode())
    monkeypatch.setenv("DISPATCHER_CLICKHOUSE_URL", "nowhere")
    sections = {section.title: section.findings async for section in check_up(0.0, applying=False)}
    levels = {finding.subject: finding.level for finding in sections["Kafka"]}
    wrong = Level.PROBLEM
    assert levels == {"topics": wrong, "webhooks": wrong, "groups": wrong, "dead letters": Level.FINE}
    remedies = {finding.remedy for finding in sections["Kafka"] if finding.subject in {"webhooks", "groups"}}
    assert remedies == {"grant it DESCRIBE on that topic, with READ or WRITE for what reads or writes it"}
    assert sections["ClickHouse"]


def test_topics_as_declared_and_what_nobody_puts_right_by_itself() -> None:
    topics = load_topics(default_topics_file())
    [finding] = check_topics(Plan((), ()), topics)
    assert finding.level is Level.FINE
    [finding] = check_topics(Plan((), (Drift("portal.x", "has 9 partitions: declare as many"),)), topics)
    assert (finding.found, finding.remedy) == ("portal.x has 9 partitions", "declare as many")


@pytest.mark.parametrize(
    ("free", "total", "level"),
    [
        (400 * GIB, 1_000 * GIB, Level.FINE),
        (10 * GIB, 100 * GIB, Level.NOTICE),
        (4 * GIB, 100 * GIB, Level.PROBLEM),
        (400 * GIB, 10_000 * GIB, Level.FINE),
    ],
)
def test_room(free: int, total: int, level: Level) -> None:
    assert judge_room("disk", free, total).level is level


def test_what_has_no_size_is_no_disk() -> None:
    assert judge_room("disk of /proc", 0, 0).level is Level.PROBLEM


def test_a_directory_that_is_not_there_yet_has_the_room_of_where_it_will_be(tmp_path: Path) -> None:
    assert "free" in check_data_dir(tmp_path / "not" / "yet").found
    assert not (tmp_path / "not").exists()


def test_errors_are_written_as_what_is_wrong_and_what_to_do() -> None:
    assert split_advice("topic a:b is missing: run it") == ("topic a:b is missing", "run it")
    assert split_advice("all is lost") == ("all is lost", "all is lost")
