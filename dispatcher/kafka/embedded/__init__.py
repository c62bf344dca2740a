"""A real Apache Kafka on this machine: one KRaft node on loopback, which dies with the program."""

from dispatcher.kafka.embedded.broker import STOP_SECONDS, EmbeddedKafka
from dispatcher.kafka.embedded.running import running_servers

__all__ = ["STOP_SECONDS", "EmbeddedKafka", "running_servers"]
