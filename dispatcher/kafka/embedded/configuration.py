"""How the embedded broker is configured: the files that Kafka and its logging read."""

import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from dispatcher.kafka.clients import MAX_REQUEST_BYTES

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the node listens on loopback."""

    broker: int
    controller: int

    @classmethod
    def choose(cls) -> Self:
        """Two that nobody listens on now."""
        with socket.socket() as one, socket.socket() as other:
            one.bind((HOST, 0))
            other.bind((HOST, 0))
            return cls(one.getsockname()[1], other.getsockname()[1])

    @classmethod
    def read(cls, file: Path) -> Self | None:
        """Those of the last time, if they are written in ``file``."""
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            return cls(int(content["broker"]), int(content["controller"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def free_now(self) -> bool:
        """Whether nobody listens on them."""
        return _is_free(self.broker) and _is_free(self.controller)

    def remember(self, file: Path) -> None:
        """Write them down for the next time."""
        file.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except (OSError, OverflowError):
            return False
        return True


def server_properties(ports: Ports, logs: str) -> str:
    """Kafka's own configuration; ``logs`` is the data's directory, relative to where the broker runs."""
    properties = {
        "process.roles": "broker,controller",
        "node.id": 1,
        # Static, so that the ports may change: with dynamic voters they would be part of the data.
        "controller.quorum.voters": f"1@{HOST}:{ports.controller}",
        "listeners": f"PLAINTEXT://{HOST}:{ports.broker},CONTROLLER://{HOST}:{ports.controller}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{ports.broker}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": logs,
        "auto.create.topics.enable": "false",
        "message.max.bytes": MAX_REQUEST_BYTES,
        "replica.fetch.max.bytes": MAX_REQUEST_BYTES,
        # One node keeps one copy of everything, and few partitions of its own are quicker to open.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1_000,
        # A machine with other work to do.
        "num.network.threads": 2,
        # Fetches that were answered are kept until so many have been: by 1,000, Kafka's default, they have grown old in
        # the heap, where collecting them is dear. With 50 a tenth of what is new survives, and the heap is 30 MB less.
        "fetch.purgatory.purge.interval.requests": 50,
        "producer.purgatory.purge.interval.requests": 50,
        "num.io.threads": 4,
        "num.recovery.threads.per.data.dir": 2,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
    }
    return "".join(f"{name}={value}\n" for name, value in properties.items())


LOGGING = """\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = ${sys:dispatcher.log}
appender.file.filePattern = ${sys:dispatcher.log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %p %m (%c)%n%ex
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
"""
"""For Log4j: warnings into one file, a few megabytes at most."""
