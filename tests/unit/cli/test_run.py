import sys

import pytest
from cryptography.fernet import Fernet

from dispatcher import cli

pytestmark = pytest.mark.usefixtures("restored_logging")


def error_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *roles: str, **settings: str) -> str:
    """What ``run`` says when it cannot begin."""
    for name, value in settings.items():
        monkeypatch.setenv(f"DISPATCHER_{name}", value)
    monkeypatch.setattr(sys, "argv", ["dispatcher", "run", *roles])
    with pytest.raises(SystemExit) as exited:
        cli.main()
    assert exited.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def test_needs_servers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    error = error_of(monkeypatch, capsys, "relay")
    assert "DISPATCHER_KAFKA_BOOTSTRAP_SERVERS is not set" in error
    assert "dispatcher up" in error


@pytest.mark.parametrize("role", ["recorder", "portal"])
def test_refuses_the_embedded_clickhouse(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], role: str
) -> None:
    error = error_of(monkeypatch, capsys, "matcher", role, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert f"DISPATCHER_CLICKHOUSE_URL: {role} " in error


@pytest.mark.parametrize("role", ["matcher", "sender"])
def test_names_a_missing_key(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], role: str) -> None:
    error = error_of(monkeypatch, capsys, role, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert "DISPATCHER_ENCRYPTION_KEY is not set" in error


def test_names_what_would_verify_tokens(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    error = error_of(
        monkeypatch,
        capsys,
        "portal",
        KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
        CLICKHOUSE_URL="http://127.0.0.1:1/webhooks",
        ENCRYPTION_KEY=Fernet.generate_key().decode(),
    )
    assert "DISPATCHER_AUTH_SECRET" in error
    assert "DISPATCHER_AUTH_JWKS_URL" in error


def test_says_when_kafka_does_not_answer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    error = error_of(monkeypatch, capsys, "relay", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert "Kafka does not answer at 127.0.0.1:1" in error
