"""A real Apache Kafka on this machine: one KRaft node on loopback, which dies with the program."""

from dispatcher.kafka.embedded.broker import EmbeddedKafka
from dispatcher.kafka.embedded.running import running_servers

__all__ = ["EmbeddedKafka", "running_servers"]
