"""``dispatcher doctor`` beside a real Kafka and ClickHouse over HTTP."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.operations.doctor.clickhouse import check_clickhouse
from dispatcher.operations.doctor.finding import Finding
from dispatcher.operations.lag import Level
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.schema import migrate, migrations
from dispatcher.settings import Settings
from dispatcher.webhooks.change import Place, write_webhook
from dispatcher.webhooks.vault import Vault
from tests.support.clickhouse_server import ClickHouseServer, a_clickhouse_server
from tests.support.commands import Command
from tests.support.webhooks import a_webhook


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with a_clickhouse_server(tmp_path_factory.mktemp("clickhouse").resolve()) as server:
        yield server


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """By subject; of several, the worst."""
    found = sorted(
        json.loads(done.stdout)["findings"], key=lambda one: ["fine", "notice", "problem"].index(one["level"])
    )
    return {one["subject"]: one for one in found}


async def test_applies_topics_and_migrations_only_when_asked_to(
    settings: Settings, command: Command, server: ClickHouseServer
) -> None:
    await server.ready()
    url = {"CLICKHOUSE_URL": f"{server.url}/{settings.kafka_prefix.strip('.')}"}

    for _ in range(2):
        done = command("doctor", "--json", **url)
        found = findings(done)
        assert done.returncode == 1
        assert found["topics"]["found"].startswith("all ")
        assert "DISPATCHER_KAFKA_PREFIX" in found["topics"]["remedy"]
        assert "dispatcher doctor --apply" in found["topics"]["remedy"]
        assert found["Kafka"]["level"] == "fine"
        assert found["ClickHouse"]["level"] == "problem"

    found = findings(command("doctor", "--json", "--apply", **url))
    assert found["schema"]["found"] == f"all {len(migrations())} migrations are applied"
    assert found["topics"]["level"] == found["ClickHouse"]["level"] == "fine"

    done = command("doctor", **url)
    assert done.returncode == 1
    assert "no members" in done.stdout
    assert "→ start `dispatcher run matcher`" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stderr == ""


async def test_migrations_of_a_later_version_are_told(settings: Settings, server: ClickHouseServer) -> None:
    await server.ready()
    url = f"{server.url}/{settings.kafka_prefix.strip('.')}"
    store = ClickHouse(url)
    try:
        await migrate(store)

        async def schema() -> Finding:
            found = await check_clickhouse(settings.model_copy(update={"clickhouse_url": url}))
            return next(one for one in found if one.subject == "schema")

        assert (await schema()).level is Level.FINE
        await store.command("INSERT INTO schema_migrations (number, name) VALUES (9001, 'of_tomorrow')")
        after_a_rollback = await schema()
        assert after_a_rollback.level is Level.NOTICE
        assert "9001 of_tomorrow" in after_a_rollback.found
        await store.command("RENAME TABLE success_rate_daily TO of_tomorrow")
        too_far = await schema()
        assert too_far.level is Level.PROBLEM
        assert too_far.found.startswith("success_rate_daily cannot be asked")
        assert "9001 of_tomorrow" in too_far.found
        assert too_far.remedy == "run that version again"
    finally:
        await store.close()


async def test_webhooks_that_no_key_decrypts(
    clients: KafkaClients, topics: Topics, settings: Settings, command: Command
) -> None:
    assert settings.encryption_key is not None
    ours = Vault(settings.encryption_key.get_secret_value())
    lost = Vault(Fernet.generate_key().decode())
    producer = clients.producer()
    await producer.start()
    try:
        for id, vault in (("wh-ours", ours), ("wh-lost", lost)):
            place = Place(id, 1, 0)
            value = write_webhook(a_webhook(id), vault)
            await producer.send_and_wait(topics.config, value, key=place.key, headers=place.headers())
    finally:
        await producer.stop()
    webhooks = findings(command("doctor", "--json"))["webhooks"]
    assert webhooks["found"] == "no key decrypts wh-lost; while one of them may want events, no event is matched"
    assert "DISPATCHER_ENCRYPTION_KEY" in webhooks["remedy"]


def test_servers_that_do_not_answer_are_told_with_what_else_is_wrong(command: Command) -> None:
    nobody = "127.0.0.1:1"
    servers = {"KAFKA_BOOTSTRAP_SERVERS": nobody, "CLICKHOUSE_URL": f"http://{nobody}"}
    done = command("doctor", "--json", **servers, ENCRYPTION_KEY="x")
    found = findings(done)
    assert done.returncode == 1
    assert {name for name, one in found.items() if one["level"] == "problem"} == {
        *("encryption key", "Kafka", "ClickHouse")
    }
    assert "Connection refused" in found["ClickHouse"]["found"]


def test_a_topics_file_that_is_not_there_is_told_as_what_is_wrong(command: Command, tmp_path: Path) -> None:
    topics = findings(command("doctor", "--json", TOPICS_FILE=tmp_path / "none.yaml"))["topics.yaml"]
    assert topics["found"].startswith(f"{tmp_path}/none.yaml cannot be read (No such file or directory)")
    assert topics["remedy"] == "correct that file, or DISPATCHER_TOPICS_FILE"


def test_where_nothing_runs_nothing_is_made(command: Command, settings: Settings) -> None:
    done = command("doctor", KAFKA_BOOTSTRAP_SERVERS=None, AUTH_SECRET=None, ENCRYPTION_KEY=None)
    assert done.returncode == 1
    assert "dispatcher up" in done.stdout
    assert not settings.data_dir.exists()
