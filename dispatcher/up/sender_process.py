"""A sender in a process of its own, beside the main one: started again when it ends, ended when the main one does."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress

import structlog

from dispatcher.errors import DispatcherError

log = structlog.get_logger()

READY = "ready"
"""The line that ``dispatcher run --guarded`` writes when its roles work; the URL of its metrics may follow."""

_READY_WITHIN = 60.0
_STOP_WITHIN = 8.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_SETTLED_AFTER = 60.0


class SenderProcess:
    """``dispatcher run sender`` with an environment of its own.

    Its standard input stays open as long as this process lives: that is how it learns of our end, however we end.
    """

    def __init__(self, number: int, environment: Mapping[str, str]) -> None:
        self.name = f"sender process {number}"
        self._number = number
        self._environment = dict(environment)
        self._process: Process | None = None
        self._metrics_url: str | None = None

    @property
    def metrics_url(self) -> str | None:
        """Where it tells its metrics, while it works."""
        return self._metrics_url if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Return when it works.

        Raises:
            DispatcherError: it ended before, or takes longer than a minute.
        """
        self._process = await self._spawn()

    async def wait(self) -> None:
        """Start another one whenever it ends, each time after a longer pause unless it had worked for a minute."""
        clock = asyncio.get_running_loop().time
        pause = _FIRST_PAUSE
        while True:
            started = clock()
            process = self._process
            if process is not None:
                status = await process.wait()
                if self._process is not process:
                    return  # it was stopped
                if clock() - started > _SETTLED_AFTER:
                    pause = _FIRST_PAUSE
                log.error(
                    "a sender process ended; another one takes its place",
                    number=self._number,
                    status=status,
                    seconds=pause,
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                self._process = await self._spawn()
            except DispatcherError as error:
                self._process = None
                log.error(str(error), seconds=pause)  # noqa: TRY400 - the process wrote what went wrong

    async def stop(self) -> None:
        """Let it finish what is in flight, for a few seconds."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_WITHIN):
                await process.wait()
        finally:
            await _kill(process)

    async def _spawn(self) -> Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dispatcher", "run", "sender", "--guarded"),
            stdin=PIPE,
            stdout=PIPE,
            env=self._environment,
            # Ctrl-C reaches a whole process group; the main process decides when a sender stops.
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(_READY_WITHIN):
                line = await process.stdout.readline() if process.stdout is not None else b""
        except TimeoutError:
            await _kill(process)
            raise DispatcherError(f"{self.name} is not ready after {_READY_WITHIN:.0f} s") from None
        except BaseException:
            await _kill(process)
            raise
        word, _, self._metrics_url = line.decode().strip().partition(" ")
        if word != READY:
            await process.wait()
            raise DispatcherError(f"{self.name} cannot start: its own error stands above this one")
        return process


async def _kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
