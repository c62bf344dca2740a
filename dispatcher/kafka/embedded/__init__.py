"""A real Apache Kafka on this machine: one KRaft node on loopback, which dies with the program."""

from dispatcher.kafka.embedded.broker import EmbeddedKafka

__all__ = ["EmbeddedKafka"]
