"""Finding the broker that a running ``dispatcher up`` has started, for the commands beside it."""

import socket
from pathlib import Path

from dispatcher.kafka.embedded.configuration import HOST, Ports

_ANSWERS_WITHIN = 1.0


def running_servers(data_dir: Path) -> str | None:
    """The bootstrap servers of the embedded broker that works on this data directory; None when none does."""
    ports = Ports.read(data_dir.absolute() / "kafka" / "ports.json")
    if ports is None:
        return None
    try:
        socket.create_connection((HOST, ports.broker), timeout=_ANSWERS_WITHIN).close()
    except (OSError, OverflowError):
        return None
    return f"{HOST}:{ports.broker}"
