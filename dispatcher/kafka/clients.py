"""Kafka clients that agree with each other: the same servers, the same security, records up to 8 MiB."""

import ssl
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

from dispatcher.errors import ConfigurationError, KafkaUnavailable, NotAllowed
from dispatcher.kafka.consumer import Consumer
from dispatcher.kafka.header_names import read_every_header_name
from dispatcher.settings import Settings

MAX_RECORD_BYTES = 8 * 1024 * 1024
"""The largest record that any topic takes, its key and headers included."""

_ROOM_FOR_BATCH = 64 * 1024
MAX_REQUEST_BYTES = MAX_RECORD_BYTES + _ROOM_FOR_BATCH

# A producer has one batch for each partition on its way: the client's default of 16 KiB would be 30 records at a time.
_BATCH_BYTES = 64 * 1024

METADATA_MAX_AGE_MS = 10_000
"""New partitions are noticed within this time."""

HEARTBEAT_MS = 1_500
_REBALANCE_MS = 6_000


@dataclass(frozen=True, slots=True)
class Membership:
    """How a process is a member of a role's consumer group.

    A static member, which has an ``instance_id``, may be away for ``session_ms`` and comes back to its partitions
    without a rebalance. A dynamic one leaves when it stops; killed, it is given up after ``session_ms``.
    """

    instance_id: str | None = None
    session_ms: int = 6_000


DYNAMIC = Membership()

_STATIC_SESSION_MS = 45_000


_REFUSALS = (
    (TopicAuthorizationFailedError, "topic", "DESCRIBE on that topic, with READ or WRITE for what reads or writes it"),
    (GroupAuthorizationFailedError, "group", "READ on that group"),
)


read_every_header_name()


class KafkaClients:
    """Makes producers, consumers and admin clients for one cluster."""

    def __init__(self, settings: Settings, bootstrap_servers: str | None = None) -> None:
        servers = bootstrap_servers or settings.kafka_bootstrap_servers
        if not servers:
            raise ConfigurationError(
                "DISPATCHER_KAFKA_BOOTSTRAP_SERVERS is not set; put host:port[,host:port] there, "
                "or start everything on this machine with dispatcher up"
            )
        self.bootstrap_servers = servers
        self.security = _security(settings)
        self._instance_id = settings.kafka_group_instance_id

    def membership(self, role: str) -> Membership:
        """How this process is a member of the role's group, by the settings."""
        if self._instance_id is None:
            return DYNAMIC
        return Membership(f"{self._instance_id}-{role}", _STATIC_SESSION_MS)

    def producer(self, **options: Any) -> AIOKafkaProducer:
        """A producer whose ``send`` is acknowledged by all in-sync replicas."""
        return AIOKafkaProducer(
            bootstrap_servers=self.bootstrap_servers,
            **self.security,
            **{
                "acks": "all",
                "max_request_size": MAX_REQUEST_BYTES,
                "max_batch_size": _BATCH_BYTES,
                "metadata_max_age_ms": METADATA_MAX_AGE_MS,
                **options,
            },
        )

    def consumer(
        self, *topics: str, group: str | None = None, member: Membership = DYNAMIC, **options: Any
    ) -> AIOKafkaConsumer:
        """A consumer that never commits by itself."""
        return Consumer(
            *topics,
            bootstrap_servers=self.bootstrap_servers,
            group_id=group,
            group_instance_id=member.instance_id,
            **self.security,
            **{
                "enable_auto_commit": False,
                "auto_offset_reset": "earliest",
                "session_timeout_ms": member.session_ms,
                "heartbeat_interval_ms": HEARTBEAT_MS,
                "rebalance_timeout_ms": _REBALANCE_MS,
                "metadata_max_age_ms": METADATA_MAX_AGE_MS,
                **options,
            },
        )

    def admin(self) -> AIOKafkaAdminClient:
        """An admin client."""
        return AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers, **self.security)

    def unavailable(self, error: KafkaError | OSError) -> KafkaUnavailable:
        """The error to show when ``error`` says that no broker answers, or that the user may not do this."""
        for refused, thing, missing in _REFUSALS:
            if isinstance(error, refused):
                return NotAllowed(f"Kafka's user may not use a {thing} ({error}): grant it {missing}")
        return KafkaUnavailable(
            f"Kafka does not answer at {self.bootstrap_servers} ({type(error).__name__}): start it, "
            "or correct DISPATCHER_KAFKA_BOOTSTRAP_SERVERS and the security settings beside it"
        )


def _security(settings: Settings) -> dict[str, Any]:
    security: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
    if "SSL" in settings.kafka_security_protocol:
        security["ssl_context"] = _tls(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        if settings.kafka_sasl_username is None or settings.kafka_sasl_password is None:
            raise ConfigurationError(
                f"DISPATCHER_KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol} needs "
                "DISPATCHER_KAFKA_SASL_USERNAME and DISPATCHER_KAFKA_SASL_PASSWORD"
            )
        security["sasl_mechanism"] = settings.kafka_sasl_mechanism
        security["sasl_plain_username"] = settings.kafka_sasl_username
        security["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return security


def _tls(settings: Settings) -> ssl.SSLContext:
    named = f"DISPATCHER_KAFKA_SSL_CAFILE={settings.kafka_ssl_cafile}"
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
        if settings.kafka_ssl_certfile is not None:
            named = f"DISPATCHER_KAFKA_SSL_CERTFILE={settings.kafka_ssl_certfile}"
            if settings.kafka_ssl_keyfile is not None:
                named += f" with DISPATCHER_KAFKA_SSL_KEYFILE={settings.kafka_ssl_keyfile}"
            context.load_cert_chain(settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile)
    except OSError as error:
        raise ConfigurationError(f"{named} cannot be used: {error}") from error
    return context
