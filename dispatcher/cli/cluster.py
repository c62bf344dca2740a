"""The cluster that commands beside the roles work on: the configured one, else that of a running ``dispatcher up``."""

import logging

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.embedded import running_servers
from dispatcher.kafka.topics import Topics, load_topics
from dispatcher.settings import load_settings


def open_cluster() -> tuple[KafkaClients, Topics]:
    """Its clients and its topics.

    What the Kafka client logs is in the error that ends the command, in one line.

    Raises:
        ConfigurationError: a setting is wrong, or no broker is configured and none runs here.
    """
    settings = load_settings()
    if settings.log_level != "debug":
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    running = None if settings.kafka_bootstrap_servers else running_servers(settings.data_dir)
    return KafkaClients(settings, running), load_topics(settings.topics_file, settings.kafka_prefix)
