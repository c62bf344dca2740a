"""The cluster that commands beside the roles work on: the configured one, else that of a running ``dispatcher up``."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import KafkaError
from typer._click.globals import get_current_context

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.embedded import running_servers
from dispatcher.kafka.topics import Topics, load_topics
from dispatcher.observability.logs import kafka_client_silenced
from dispatcher.settings import Settings, load_settings


def open_cluster() -> tuple[KafkaClients, Topics]:
    """Its clients and its topics, for the command that is being run.

    What the Kafka client logs until the command ends, and what it raises, is in the error that ends it, in one line.

    Raises:
        ConfigurationError: a setting is wrong, or no broker is configured and none runs here.
    """
    settings = load_settings()
    clients = clients_for(settings)
    command = get_current_context()
    command.with_resource(kafka_client_silenced(settings))
    command.with_resource(_kafka_errors_told(clients))
    return clients, load_topics(settings.topics_file, settings.kafka_prefix)


@contextmanager
def _kafka_errors_told(clients: KafkaClients) -> Iterator[None]:
    try:
        yield
    except KafkaError as error:
        raise clients.unavailable(error) from error


def clients_for(settings: Settings) -> KafkaClients:
    """Clients of the configured cluster, else of the one that a running ``dispatcher up`` has here.

    Raises:
        ConfigurationError: a setting is wrong, or there is neither.
    """
    return KafkaClients(settings, None if settings.kafka_bootstrap_servers else running_servers(settings.data_dir))
