import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from dispatcher.errors import ConfigurationError
from dispatcher.settings import Settings, load_settings


def test_the_defaults_need_nothing() -> None:
    settings = load_settings()
    assert settings.kafka_bootstrap_servers is None
    assert settings.http_port == 8080
    assert settings.http_host == "127.0.0.1"
    assert settings.clickhouse_http_port == 8123
    assert settings.data_dir == Path(".data")
    assert settings.request_timeout == timedelta(seconds=15)
    assert settings.allowed_target_networks == ()
    assert settings.disable_failing_after is None
    assert settings.topics_file.exists()


def test_the_embedded_clickhouse_is_in_the_data_directory(tmp_path: Path) -> None:
    assert load_settings(data_dir=tmp_path).clickhouse == f"chdb:///{tmp_path / 'clickhouse'}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_PORT", "eighty"),
        ("HTTP_PORT", "70000"),
        ("CLICKHOUSE_HTTP_PORT", "-1"),
        ("KAFKA_BOOTSTRAP_SERVERS", "nohost"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka-1:9092,kafka-2"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:0"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:65536"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", ":9092"),
        ("KAFKA_BOOTSTRAP_SERVERS", "::1:9092"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka://kafka:9092"),
        ("KAFKA_BOOTSTRAP_SERVERS", ","),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka..local:9092"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092,.kafka:9092"),
        ("KAFKA_BOOTSTRAP_SERVERS", f"{'k' * 64}.local:9092"),
        ("HTTP_HOST", "foo..bar"),
        ("HTTP_HOST", "k" * 64),
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI"),
        ("KAFKA_PREFIX", "a b"),
        ("KAFKA_GROUP_INSTANCE_ID", "a b"),
        ("KAFKA_GROUP_INSTANCE_ID", "."),
        ("KAFKA_GROUP_INSTANCE_ID", "a" * 201),
        ("AUTH_SECRET", "short"),
        ("AUTH_JWKS_URL", "not a url"),
        ("ALLOWED_TARGET_NETWORKS", "10.0.0.0/8,nonsense"),
        ("ALLOWED_TARGET_NETWORKS", "1.2.3"),
        ("ALLOWED_TARGET_NETWORKS", "10.0.0.1/8"),
        ("EGRESS_PROXY", "proxy:3128"),
        ("REQUEST_TIMEOUT", "15"),
        ("REQUEST_TIMEOUT", "0s"),
        ("DISABLE_FAILING_AFTER", "5 days"),
        ("DISABLE_FAILING_AFTER", "12h"),
        ("DISABLE_FAILING_AFTER", "28d"),
        ("DISABLE_FAILING_RATE", "0"),
        ("DISABLE_FAILING_RATE", "1.1"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_bad_value_is_an_error_that_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"DISPATCHER_{name}", value)
    with pytest.raises(ConfigurationError, match=f"^DISPATCHER_{name}: ") as caught:
        load_settings()
    message = str(caught.value)
    assert "\n" not in message
    assert message.count("DISPATCHER_") == 1
    assert "Value error" not in message


def test_an_error_about_a_secret_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCHER_AUTH_SECRET", "hunter2")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_every_bad_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCHER_HTTP_PORT", "x")
    monkeypatch.setenv("DISPATCHER_LOG_LEVEL", "x")
    with pytest.raises(ConfigurationError, match=r"DISPATCHER_HTTP_PORT.*; DISPATCHER_LOG_LEVEL"):
        load_settings()


def test_networks_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCHER_ALLOWED_TARGET_NETWORKS", "10.0.0.0/8, fd00::/8,")
    assert load_settings().allowed_target_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("value", "servers"),
    [
        ("kafka:9092", "kafka:9092"),
        (" kafka-1.example:9092, 10.0.0.2:9093 ,", "kafka-1.example:9092,10.0.0.2:9093"),
        ("[::1]:9092", "[::1]:9092"),
        (f"{'k' * 63}.local.:9092", f"{'k' * 63}.local.:9092"),
    ],
)
def test_servers_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch, value: str, servers: str) -> None:
    monkeypatch.setenv("DISPATCHER_KAFKA_BOOTSTRAP_SERVERS", value)
    assert load_settings().kafka_bootstrap_servers == servers


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCHER_HTTP_PORT", "")
    assert load_settings().http_port == 8080


def test_a_file_is_read_and_the_environment_outranks_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.write_text("DISPATCHER_HTTP_PORT=9001\nDISPATCHER_LOG_LEVEL=debug\nUNRELATED=1\n")
    monkeypatch.setitem(Settings.model_config, "env_file", file)
    monkeypatch.setenv("DISPATCHER_HTTP_PORT", "9002")
    settings = load_settings()
    assert (settings.http_port, settings.log_level) == (9002, "debug")


def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.write_bytes("DISPATCHER_HTTP_PORT=9001\nDISPATCHER_LOG_LEVEL=grün\n".encode("latin-1"))
    monkeypatch.setitem(Settings.model_config, "env_file", file)
    with pytest.raises(ConfigurationError, match=f"^{re.escape(str(file))} is not UTF-8 in line 2: "):
        load_settings()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ConfigurationError, match=f"^{re.escape(str(file))} cannot be read .Permission denied.: "):
        load_settings()


def test_settings_do_not_show_their_secrets() -> None:
    settings = load_settings(auth_secret="s" * 40, encryption_key="k" * 44, kafka_sasl_password="p" * 10)
    shown = repr(settings)
    assert not any(secret in shown for secret in ("s" * 40, "k" * 44, "p" * 10))


def test_every_setting_is_described_and_no_other() -> None:
    guide = Path(__file__).parents[2] / "docs" / "operations.md"
    _, section = guide.read_text(encoding="utf-8").split("\n## Settings\n")
    section, *_ = section.split("\n## ")
    rows = [row for row in section.splitlines() if row.startswith("| ")]
    known = {name.upper() for name in Settings.model_fields}
    assert known <= set(re.findall(r"`([A-Z_]+)`", "".join(rows)))
    assert set(re.findall(r"`([A-Z_]+)`", "".join(row.split("|")[1] for row in rows))) <= known
