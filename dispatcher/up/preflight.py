"""What can be known to be wrong before `dispatcher up` starts anything: settings, and ports that others have."""

import asyncio
from contextlib import AsyncExitStack

from dispatcher.errors import ConfigurationError
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.embedded import running_servers
from dispatcher.portal import app as portal
from dispatcher.portal.auth import check_authentication_settings
from dispatcher.recording import http_port
from dispatcher.recording.beside import HOST
from dispatcher.recording.clickhouse import ClickHouseUrl
from dispatcher.settings import Settings
from dispatcher.webhooks.vault import Vault


def check_settings(settings: Settings) -> None:
    """Read what the roles would read only as they start.

    Raises:
        ConfigurationError: something of it cannot be used.
    """
    check_authentication_settings(settings)
    if settings.encryption_key is not None:
        Vault(settings.encryption_key.get_secret_value())
    ClickHouseUrl.parse(settings.clickhouse)
    if settings.kafka_bootstrap_servers is not None:
        KafkaClients(settings)
    elif settings.kafka_security_protocol != "PLAINTEXT":
        raise ConfigurationError(
            f"DISPATCHER_KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol} is for a Kafka of your own: "
            "name it in DISPATCHER_KAFKA_BOOTSTRAP_SERVERS, or leave both unset for an embedded one"
        )


async def check_ports(settings: Settings) -> None:
    """Listen, for a moment, on every port that will be listened on.

    Not where another ``dispatcher up`` works on the same data: that is the better thing to say, and its lock says it.

    Raises:
        ConfigurationError: one of them cannot be had.
    """
    if settings.kafka_bootstrap_servers is None and running_servers(settings.data_dir) is not None:
        return
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        try:
            server = await loop.create_server(asyncio.Protocol, settings.http_host, settings.http_port)
            stack.callback(server.close)
        except OSError as error:
            raise portal.cannot_listen(settings, error) from error
        port = settings.clickhouse_http_port
        if port and ClickHouseUrl.parse(settings.clickhouse).embedded:
            try:
                server = await loop.create_server(asyncio.Protocol, HOST, port)
                stack.callback(server.close)
            except OSError as error:
                raise http_port.cannot_listen(HOST, port, error) from error
