"""What the roles of one process share, and the roles themselves, made from the settings."""

import os
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from dispatcher.errors import ConfigurationError
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.observability.exposition import Beside
from dispatcher.observability.tracing_settings import exports_spans
from dispatcher.settings import Settings
from dispatcher.supervision import Part, Service
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.vault import HOW_TO_MAKE_A_KEY, Vault

if TYPE_CHECKING:
    from dispatcher.observability.tracing import Tracing
    from dispatcher.portal.app import Portal
    from dispatcher.portal.auth import Caller
    from dispatcher.recording.clickhouse import ClickHouse


class RoleName(StrEnum):
    """The five roles, in the order in which what happens passes through them."""

    MATCHER = "matcher"
    SENDER = "sender"
    RELAY = "relay"
    RECORDER = "recorder"
    PORTAL = "portal"


NEED_CONFIGURATION = frozenset({RoleName.MATCHER, RoleName.SENDER, RoleName.PORTAL})
MAKE_SPANS = frozenset({RoleName.MATCHER, RoleName.SENDER})
NEED_CLICKHOUSE = frozenset({RoleName.RECORDER, RoleName.PORTAL})


class Assembly:
    """One directory of webhooks, one set of Kafka clients and one ClickHouse for all roles of a process.

    Each process imports what its roles need: a sender has no use for Faust, nor a matcher for an HTTP server.

    Raises:
        ConfigurationError: as parts are made, a setting that they need is missing or wrong.
    """

    def __init__(self, settings: Settings, clients: KafkaClients, topics: Topics) -> None:
        self.settings = settings
        self.clients = clients
        self.topics = topics

    @cached_property
    def vault(self) -> Vault:
        """What encrypts and decrypts ``webhooks.config``."""
        key = self.settings.encryption_key
        if key is None:
            raise ConfigurationError(
                "DISPATCHER_ENCRYPTION_KEY is not set, and webhooks are kept encrypted: put the installation's Fernet "
                f"key there; a new installation makes one with {HOW_TO_MAKE_A_KEY}"
            )
        return Vault(key.get_secret_value())

    @cached_property
    def follower(self) -> ConfigFollower:
        """The directory of webhooks."""
        return ConfigFollower(self.clients, self.topics, self.vault)

    @cached_property
    def clickhouse(self) -> "ClickHouse":
        """The configured server, or the embedded engine."""
        from dispatcher.recording.clickhouse import ClickHouse  # noqa: PLC0415

        return ClickHouse(self.settings.clickhouse, cluster=self.settings.clickhouse_cluster)

    @cached_property
    def tracing(self) -> "Tracing | None":
        """What makes spans, where the variables OTEL_… say that they are exported."""
        if not exports_spans(os.environ):
            return None
        from dispatcher.observability.tracing import otlp_tracing  # noqa: PLC0415

        return otlp_tracing(os.environ)

    def foundations(self, roles: Iterable[RoleName]) -> list[Service[object]]:
        """What has to be there before these roles start, and as long as they run."""
        needed = frozenset(roles)
        foundations: list[Service[object]] = []
        if self.tracing is not None and needed & MAKE_SPANS:
            foundations.append(Part("export of spans", _nothing, self.tracing.close))
        if needed & NEED_CLICKHOUSE:
            foundations.append(Part("connection to ClickHouse", _nothing, self.clickhouse.close))
        if needed & NEED_CONFIGURATION:
            follower = self.follower
            foundations.append(Part("directory of webhooks", follower.start, follower.stop, follower.wait))
        return foundations

    def role(self, name: RoleName) -> Service[object]:
        """A role, ready to be started once the foundations are.

        Raises:
            ConfigurationError: a setting that it needs is missing.
        """
        match name:
            case RoleName.MATCHER:
                from dispatcher.matching.matcher import Matcher  # noqa: PLC0415

                return Matcher(self.clients, self.topics, self.follower, tracing=self.tracing)
            case RoleName.SENDER:
                from dispatcher.delivery.sender import Sender  # noqa: PLC0415

                return Sender(self.settings, self.clients, self.topics, self.follower, tracing=self.tracing)
            case RoleName.RELAY:
                from dispatcher.delivery.relay import Relay  # noqa: PLC0415

                return Relay(self.clients, self.topics)
            case RoleName.RECORDER:
                from dispatcher.recording.recorder import Recorder  # noqa: PLC0415

                return Recorder(self.clients, self.topics, self.clickhouse)
            case RoleName.PORTAL:
                return self.portal()

    def portal(self, people: Sequence["Caller"] = (), beside: Beside = dict) -> "Portal":
        """The role that has an address; ``people`` of a demonstration sign in at a click.

        It tells the metrics of the processes ``beside`` this one too.

        Raises:
            ConfigurationError: a setting that it needs is missing.
        """
        from dispatcher.portal.app import Portal  # noqa: PLC0415

        return Portal(
            self.settings,
            self.clients,
            self.topics,
            self.follower,
            self.vault,
            self.clickhouse,
            people=people,
            beside=beside,
        )


async def _nothing() -> None:
    """Nothing is to be done before the first question, or the first span."""
