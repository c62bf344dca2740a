"""Work that goes on in the background of the running loop until it is stopped."""

import asyncio
from abc import ABC, abstractmethod


class Background(ABC):
    """Starts, watches and ends ``_run``."""

    _task: asyncio.Task[None] | None = None
    _stopped = False

    @abstractmethod
    async def _run(self) -> None:
        """The work; it goes on until it is cancelled."""

    async def start(self) -> None:
        """Begin in the background."""
        self._task = asyncio.create_task(self._run(), name=type(self).__name__)

    async def wait(self) -> None:
        """Run until it fails or is stopped."""
        if self._task is not None:
            try:
                await asyncio.shield(self._task)
            except asyncio.CancelledError:
                if not self._stopped:
                    raise

    async def stop(self) -> None:
        """End it."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
