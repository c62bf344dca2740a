"""The security settings of Kafka's clients: whoever got one wrong is told which."""

from pathlib import Path

import pytest

from dispatcher.errors import ConfigurationError
from dispatcher.kafka.clients import KafkaClients
from dispatcher.settings import load_settings


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"cafile": "none.pem"}, "DISPATCHER_KAFKA_SSL_CAFILE=none.pem cannot be used"),
        ({"certfile": "none.pem"}, "DISPATCHER_KAFKA_SSL_CERTFILE=none.pem cannot be used"),
        (
            {"certfile": "none.pem", "keyfile": "none.key"},
            "DISPATCHER_KAFKA_SSL_CERTFILE=none.pem with DISPATCHER_KAFKA_SSL_KEYFILE=none.key cannot be used",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_setting(files: dict[str, str], said: str) -> None:
    named = {f"kafka_ssl_{name}": Path(path) for name, path in files.items()}
    settings = load_settings(kafka_security_protocol="SSL", kafka_bootstrap_servers="kafka:9093", **named)
    with pytest.raises(ConfigurationError, match=said):
        KafkaClients(settings)
