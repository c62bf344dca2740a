"""Settings: environment variables with the prefix ``DISPATCHER_``, also read from a ``.env`` file."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AnyHttpUrl, BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from dispatcher.durations import Duration, parse_duration
from dispatcher.errors import ConfigurationError
from dispatcher.validation import problems_of

PREFIX = "DISPATCHER_"

_SERVER = re.compile(r"([^\s:/\[\]]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})", re.ASCII)


def default_topics_file() -> Path:
    """``topics.yaml`` beside the package in a checkout, or inside it where the package was installed."""
    package = Path(__file__).parent
    in_checkout = package.parent / "topics.yaml"
    return in_checkout if in_checkout.exists() else package / "topics.yaml"


def _in_lower_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class Settings(BaseSettings):
    """Everything that differs between one installation and another."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    kafka_bootstrap_servers: str | None = None
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_cafile: Path | None = None
    kafka_ssl_certfile: Path | None = None
    kafka_ssl_keyfile: Path | None = None
    kafka_prefix: str = Field(default="", pattern=r"^[a-zA-Z0-9._-]*$")
    """Put before the name of every topic and consumer group, so that several installations can share a cluster."""
    kafka_group_instance_id: str | None = Field(default=None, pattern=r"^[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,199}$")
    """Makes this process's roles static members of their groups; no other process has the same."""

    clickhouse_url: str | None = None
    clickhouse_cluster: str | None = Field(default=None, pattern=r"^[\w.-]+$")
    """The name of the ClickHouse cluster that the tables are spread over; None: a single server."""
    clickhouse_http_port: int = Field(default=8123, ge=0, le=65535)
    data_dir: Path = Path(".data")
    topics_file: Path = Field(default_factory=default_topics_file)

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=0, le=65535)
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """Where `run` answers operators' systems, on ``http_host``, whatever its roles; None: nowhere."""
    public_url: AnyHttpUrl | None = None
    """How people reach the portal; https: its cookies are for https only."""
    oidc_issuer: str | None = Field(default=None, pattern=r"^https?://\S+$")
    """Where people sign in to the pages; with it go ``public_url`` and the two below."""
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    auth_secret: SecretStr | None = None
    auth_jwks_url: AnyHttpUrl | None = None
    auth_issuer: str | None = None
    auth_audience: str | None = None
    encryption_key: SecretStr | None = None

    allowed_target_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    egress_proxy: AnyHttpUrl | None = None
    request_timeout: Duration = Field(default=parse_duration("15s"))
    disable_failing_after: Duration | None = None
    """How long a webhook may fail before it is disabled; None: for ever."""
    disable_failing_rate: float = Field(default=0.99, gt=0, le=1)
    """The share of its attempts within that time that have failed then."""

    log_format: Literal["console", "json"] | None = None
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_in_lower_case)] = "info"

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _of_hosts_and_ports(cls, value: str | None) -> str | None:
        if value is None:
            return None
        servers = _parts(value)
        for server in servers:
            found = _SERVER.fullmatch(server)
            if found is None or not 0 < int(found[2]) <= 65535:
                raise ValueError(
                    f"{server!r} is not host:port; write host:port[,host:port], an IPv6 address in brackets: [::1]:9092"
                )
            _check_host(found[1])
        if not servers:
            raise ValueError("names no server; write host:port[,host:port]")
        return ",".join(servers)

    @field_validator("http_host")
    @classmethod
    def _of_a_host(cls, value: str) -> str:
        _check_host(value)
        return value

    @field_validator("allowed_target_networks", mode="before")
    @classmethod
    def _of_networks(cls, value: object) -> object:
        return tuple(_network(part) for part in _parts(value)) if isinstance(value, str) else value

    @field_validator("auth_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < 32:
            raise ValueError("must be at least 32 bytes long")
        return value

    @field_validator("request_timeout")
    @classmethod
    def _positive(cls, value: Duration) -> Duration:
        if not value:
            raise ValueError("must be longer than nothing")
        return value

    @field_validator("disable_failing_after")
    @classmethod
    def _of_days(cls, value: Duration | None) -> Duration | None:
        # Attempts are kept for 28 days.
        if value is not None and not timedelta(days=1) <= value <= timedelta(days=27):
            raise ValueError("must be from 1d to 27d, or left out: then no webhook is disabled for failing")
        return value

    @property
    def clickhouse(self) -> str:
        """The configured ClickHouse URL, or the embedded engine's under ``data_dir``."""
        return self.clickhouse_url or f"chdb:///{self.data_dir.absolute() / 'clickhouse'}"


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment.

    Raises:
        ConfigurationError: a value is wrong; the message names its variable. Or the ``.env`` file cannot be read.
    """
    try:
        with env_file_readable():
            return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        problems = "; ".join(
            f"{PREFIX}{'_'.join(str(part) for part in where[:1]).upper()}: {what}" for where, what in problems_of(error)
        )
        raise ConfigurationError(problems) from None


@contextmanager
def env_file_readable() -> Iterator[None]:
    """Whatever reads the ``.env`` file.

    Raises:
        ConfigurationError: it cannot be read, or is not UTF-8.
    """
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{error.filename} cannot be read ({error.strerror}): correct or remove it") from None
    except UnicodeDecodeError as error:
        file = Settings.model_config.get("env_file")
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{file} is not UTF-8 in line {line}: write it as UTF-8, or remove it") from None


def _check_host(host: str) -> None:
    # The resolver's own words for this are a UnicodeError's.
    try:
        host.encode("idna")
    except UnicodeError:
        raise ValueError(
            f"{host!r} is not the name of a host; between its dots there are 1 to 63 characters each time"
        ) from None


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a network; write such as 10.0.0.0/8 or fd00::/8, with no bits set after the prefix"
        ) from None
