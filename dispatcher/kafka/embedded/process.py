"""The broker's process under its guardian: it ends when it is asked to, and when this process ends."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from dispatcher.kafka.embedded import guardian

_LOOK_EVERY = 0.1


class GuardedProcess:
    """A command that runs in ``directory``, its output in the file ``console``, holding ``lock`` as long as it lives.

    Asked to end, it has ``grace`` seconds until it is killed.
    """

    def __init__(self, command: Sequence[str | Path], directory: Path, console: Path, lock: int, grace: float) -> None:
        with console.open("wb") as output:
            self._guardian = subprocess.Popen(
                [sys.executable, "-I", "-S", guardian.__file__, str(grace), str(lock), *command],
                cwd=directory,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                pass_fds=(lock,),
                # Ctrl-C reaches a whole process group; the broker is to be the last to go.
                start_new_session=True,
            )
        self.pid = self._read_pid()
        """The command's process; None when it could not be started."""

    def _read_pid(self) -> int | None:
        if self._guardian.stdout is None:
            return None
        with self._guardian.stdout as output:
            line = output.readline().strip()
        return int(line) if line else None

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._guardian.poll() is None

    async def ended(self) -> None:
        """Return when it has ended."""
        # Looking again and again is what works the same in every event loop and thread.
        while self.running:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_EVERY)

    async def end(self) -> None:
        """Ask it to end and return when it has."""
        if self._guardian.stdin is not None:
            self._guardian.stdin.close()
        await self.ended()
        if self._guardian.returncode < 0 and self.pid is not None:
            # The guardian was killed: nobody else ends the command.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
