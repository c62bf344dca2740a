import asyncio
import logging
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from pydantic import SecretStr

from dispatcher.kafka.clients import KafkaClients
from dispatcher.matching.faust_app import faust_app
from dispatcher.settings import load_settings


async def nothing(stream: Any) -> None:
    async for _ in stream:
        raise AssertionError


async def nobody() -> None:
    raise AssertionError


def app_of(**settings: Any) -> tuple[Any, KafkaClients]:
    clients = KafkaClients(load_settings(kafka_bootstrap_servers="kafka-1:9092, kafka-2:9093", **settings))
    member = clients.membership("matcher")
    app = faust_app(clients, "a-group", member, ["events"], nothing, give_up=nobody, on_hold=lambda: False)
    return app, clients


@pytest.mark.parametrize(
    "security",
    [
        {},
        {"kafka_security_protocol": "SSL"},
        *(
            {
                "kafka_security_protocol": protocol,
                "kafka_sasl_mechanism": mechanism,
                "kafka_sasl_username": "matcher",
                "kafka_sasl_password": SecretStr("secret"),
            }
            for protocol in ("SASL_PLAINTEXT", "SASL_SSL")
            for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
        ),
    ],
    ids=lambda security: "-".join(map(str, security.values())) or "PLAINTEXT",
)
async def test_faust_has_the_security_of_every_other_client(security: dict[str, Any]) -> None:
    app, clients = app_of(**security)
    auth = dict(credentials_to_aiokafka_auth(app.conf.broker_credentials, app.conf.ssl_context))
    assert {name: value for name, value in auth.items() if value is not None} == clients.security


async def test_every_server_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app, _ = app_of()
    assert [(url.host, url.port) for url in app.transport.url] == [("kafka-1", 9092), ("kafka-2", 9093)]


async def test_a_static_member_has_a_name_and_a_longer_session() -> None:
    dynamic, _ = app_of()
    static, _ = app_of(kafka_group_instance_id="blue-1")
    assert dynamic.conf.consumer_group_instance_id is None
    assert static.conf.consumer_group_instance_id == "blue-1-matcher"
    assert dynamic.conf.broker_session_timeout < 10 < static.conf.broker_session_timeout


async def test_logging_and_the_directory_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = list(logging.getLogger().handlers), logging.getLogger().level
    app, _ = app_of()
    await app.on_first_start()
    assert (list(logging.getLogger().handlers), logging.getLogger().level) == before
    assert not os.listdir(tmp_path)  # noqa: PTH208


async def _rounds() -> None:
    """Let whatever can go on do so: more rounds of the event loop than it takes to wake somebody up."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_pause_ends_when_somebody_comes_who_had_no_turn_lately() -> None:
    app, _ = app_of()
    queue = app.FlowControlQueue(maxsize=1)

    def fetched(key: bytes) -> None:
        queue.put_fetched([SimpleNamespace(key=key, value=b"")], 1)

    for _ in range(3):
        fetched(b"floods")
    queue.turns.popleft()
    await queue.newcomer(0.01)
    pause = asyncio.create_task(queue.newcomer(600.0))
    await _rounds()
    fetched(b"floods")
    await _rounds()
    assert not pause.done()
    fetched(b"wants little")
    async with asyncio.timeout(5):
        await pause
        await queue.newcomer(600.0)
