"""The lock of an embedded broker's directory: one program at a time, and its broker counts as part of it."""

import asyncio
import fcntl
import os
from pathlib import Path

from dispatcher.errors import EmbeddedKafkaError

_LOOK_EVERY = 0.1


class DirectoryLock:
    """Held through an open file, which the broker's process inherits: it is free when all of them have ended.

    The file names who holds it, for the error that somebody else gets; what it says means nothing by itself.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """What a child process inherits to hold the lock too."""
        assert self._descriptor is not None
        return self._descriptor

    async def acquire(self, patience: float) -> None:
        """Take the lock; wait up to ``patience`` seconds for the broker of a program that was killed to end.

        Raises:
            EmbeddedKafkaError: another program holds it.
        """
        self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        clock = asyncio.get_running_loop().time
        until = clock() + patience
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner, broker = self._holders()
                if owner is not None and _is_alive(owner):
                    self.release()
                    raise EmbeddedKafkaError(
                        f"{self._file.parent} is used by another dispatcher, process {owner}: stop that one, "
                        "or give this one a DISPATCHER_DATA_DIR of its own"
                    ) from None
                if clock() >= until:
                    self.release()
                    raise EmbeddedKafkaError(
                        f"the Kafka broker of an earlier run still uses {self._file.parent} and does not end: "
                        f"end it with `kill -9 {broker or '<its process id>'}` and start again"
                    ) from None
                await asyncio.sleep(_LOOK_EVERY)
            else:
                self.name_holders(None)
                return

    def name_holders(self, broker: int | None) -> None:
        """Write down this process and the broker's."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, f"{os.getpid()} {broker or ''}\n".encode(), 0)

    def _holders(self) -> tuple[int | None, int | None]:
        numbers = [int(word) for word in os.pread(self.descriptor, 100, 0).split() if word.isdigit()]
        return (*numbers, None, None)[0], (*numbers, None, None)[1]

    def release(self) -> None:
        """Let go; children that inherited the lock hold it until they end."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
