"""The lock of an embedded broker's directory: one program at a time, and its broker counts as part of it."""

import asyncio
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from dispatcher.errors import EmbeddedKafkaError

_LOOK_EVERY = 0.1


class DirectoryLock:
    """Held through an open file, which the broker's process inherits: it is free when all of them have ended.

    The file says which processes hold it, for the error that somebody else gets; what it says means nothing by itself.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def name_holders(self, broker: int | None = None) -> None:
        """Write down this process and the broker's."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, f"{os.getpid()} {broker or ''}\n".encode(), 0)

    def release(self) -> None:
        """Let go; children that inherited the lock hold it until they end."""
        os.close(self.descriptor)


async def lock_directory(directory: Path, patience: float, say: Callable[[str], None]) -> DirectoryLock:
    """Take the lock; wait up to ``patience`` seconds for the broker of a program that was killed to end.

    ``say`` hears that there is one.

    Raises:
        EmbeddedKafkaError: another program holds it, or a broker that does not end.
    """
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        await _lock(descriptor, directory, patience, say)
    except BaseException:
        os.close(descriptor)
        raise
    lock = DirectoryLock(descriptor)
    lock.name_holders()
    return lock


async def _lock(descriptor: int, directory: Path, patience: float, say: Callable[[str], None]) -> None:
    clock = asyncio.get_running_loop().time
    until = clock() + patience
    said = False
    while not _try(descriptor):
        owner, broker = _holders(descriptor)
        if owner is not None and _is_alive(owner):
            raise EmbeddedKafkaError(
                f"{directory} is used by another dispatcher, process {owner}: stop that one, "
                "or give this one a DISPATCHER_DATA_DIR of its own"
            )
        if clock() >= until:
            raise EmbeddedKafkaError(
                f"the Kafka broker of an earlier run still uses {directory} and does not end: "
                f"end it with `kill -9 {broker or '<its process id>'}` and start again"
            )
        if not said:
            said = True
            say("Waiting for the Kafka of an earlier run to end")
        await asyncio.sleep(_LOOK_EVERY)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holders(descriptor: int) -> tuple[int | None, int | None]:
    numbers = [int(word) for word in os.pread(descriptor, 100, 0).split() if word.isdigit()]
    owner, broker, *_ = (*numbers, None, None)
    return owner, broker


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
