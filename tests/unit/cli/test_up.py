import socket
import sys
from pathlib import Path

import pytest

from dispatcher import cli
from tests.support.dispatcher import free_port

pytestmark = pytest.mark.usefixtures("restored_logging")


def output_of(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], **settings: object) -> str:
    """What ``up`` says on standard error when it cannot begin."""
    for name, value in {"HTTP_PORT": free_port(), "CLICKHOUSE_HTTP_PORT": free_port(), **settings}.items():
        monkeypatch.setenv(f"DISPATCHER_{name}", str(value))
    monkeypatch.setattr(sys, "argv", ["dispatcher", "up"])
    with pytest.raises(SystemExit) as exited:
        cli.main()
    assert exited.value.code == 1
    return capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENCRYPTION_KEY", "zz"),
        ("CLICKHOUSE_URL", "mysql://x"),
        ("TOPICS_FILE", "/nowhere/topics.yaml"),
        ("KAFKA_SECURITY_PROTOCOL", "SSL"),
        ("HTTP_HOST", "192.0.2.1"),
    ],
)
def test_what_settings_can_say_is_said_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path, name: str, value: str
) -> None:
    said = output_of(monkeypatch, capfd, DATA_DIR=tmp_path, **{name: value})
    assert said.startswith(f"error: DISPATCHER_{name}")
    assert said.count("\n") == 1
    assert not (tmp_path / "kafka").exists()


def test_two_ways_to_verify_tokens_are_one_too_many(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    both = {"AUTH_SECRET": "s" * 32, "AUTH_JWKS_URL": "https://login.example/keys"}
    said = output_of(monkeypatch, capfd, DATA_DIR=tmp_path, **both)
    assert said.startswith("error: DISPATCHER_AUTH_SECRET and DISPATCHER_AUTH_JWKS_URL are both set")
    assert not (tmp_path / "kafka").exists()


@pytest.mark.parametrize("name", ["HTTP_PORT", "CLICKHOUSE_HTTP_PORT"])
def test_a_taken_port_is_noticed_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        said = output_of(monkeypatch, capfd, DATA_DIR=tmp_path, **{name: other.getsockname()[1]})
    assert said.startswith(f"error: DISPATCHER_{name}: 127.0.0.1:")
    assert said.count("\n") == 1
    assert not (tmp_path / "kafka").exists()


def test_one_port_is_not_enough_for_two(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    port = free_port()
    said = output_of(monkeypatch, capfd, DATA_DIR=tmp_path, HTTP_PORT=port, CLICKHOUSE_HTTP_PORT=port)
    assert said.startswith("error: DISPATCHER_CLICKHOUSE_HTTP_PORT: ")


def test_says_in_one_line_when_kafka_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = output_of(monkeypatch, capfd, DATA_DIR=tmp_path, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert said.startswith("error: Kafka does not answer at 127.0.0.1:1 ")
    assert said.count("\n") == 1
