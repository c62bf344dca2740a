"""Starts what a process is made of, layer upon layer, watches it, and stops it in the opposite order in time."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import structlog
import uvloop

from dispatcher.errors import DispatcherError

log = structlog.get_logger()

STOP_SECONDS = 10.0
"""So long after the first signal the process ends, even if something hangs.

A service that was given ``own_seconds`` to stop may add these.
"""

# Of these seconds, each of the lower layers has so many for itself, even when those above it took all of theirs.
_RESERVED_FOR_A_LAYER = 0.2
_CANCELLED_START_SECONDS = 2.0
_GC_THRESHOLDS = (2_000, 5, 500)
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


async def _for_ever() -> None:
    await asyncio.Event().wait()


class Service(Protocol[T_co]):
    """A role, or something that roles stand on: it is started, it runs until something ends it, it is stopped."""

    @property
    def name(self) -> str:
        """What errors call it."""

    async def start(self) -> T_co:
        """Return when it works; leave nothing behind when that fails or is cancelled."""

    async def wait(self) -> None:
        """Run until it ends; raise what ended it, unless that was ``stop``."""

    async def stop(self) -> None:
        """Finish what is in flight, within a few seconds, and let go of everything."""


@dataclass(frozen=True, slots=True)
class Part(Generic[T_co]):
    """Makes a service of something that lives as long as the roles on it; without ``run`` it never ends by itself."""

    name: str
    begin: Callable[[], Awaitable[T_co]]
    end: Callable[[], Awaitable[None]]
    run: Callable[[], Awaitable[None]] = _for_ever

    async def start(self) -> T_co:
        """Return when it works."""
        return await self.begin()

    async def wait(self) -> None:
        """Run until it ends."""
        await self.run()

    async def stop(self) -> None:
        """Let go of everything."""
        await self.end()


class Ended(DispatcherError):
    """A service ended, or could not start, for a reason that is no error of the user's."""


@dataclass(slots=True)
class _Layer:
    own_seconds: float = 0.0
    services: list[Service[object]] = field(default_factory=list)


class Supervisor:
    """What runs in this process. Services of one layer start, and stop, at the same time."""

    def __init__(self) -> None:
        self._layers: list[_Layer] = []
        self._watchers: list[asyncio.Task[None]] = []
        self._over = asyncio.Event()
        self._stopping = False
        self._failure: BaseException | None = None

    @property
    def own_seconds(self) -> float:
        """How much longer than others what was started may take to stop."""
        return sum(layer.own_seconds for layer in self._layers)

    async def start(self, service: Service[T], *, own_seconds: float = 0.0) -> T:
        """Start a layer of one service; what its ``start`` returned.

        It has ``own_seconds`` to stop beside what is left for all: for a process that must not be left behind.

        Raises:
            DispatcherError: it could not start.
        """
        layer = self._add_layer(own_seconds)
        return await self._start(service, layer)

    async def start_all(self, services: Sequence[Service[object]]) -> None:
        """Start a layer of several services; when one fails, the others are not waited for.

        Raises:
            DispatcherError: one of them could not start.
        """
        layer = self._add_layer()
        tasks = [asyncio.create_task(self._start(service, layer), name=service.name) for service in services]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def end(self) -> None:
        """Let ``over`` return: somebody asked the process to stop."""
        self._over.set()

    async def over(self) -> None:
        """Run until somebody calls ``end`` or a service ends.

        Raises:
            DispatcherError: the service that ended by itself, and why.
        """
        await self._over.wait()
        if self._failure is not None:
            raise self._failure

    async def stop(self, within: float) -> None:
        """Stop everything, the last layer first, within so many seconds; what takes longer is given up.

        A layer's own seconds come on top.
        """
        self._stopping = True
        deadline = asyncio.get_running_loop().time() + within
        while self._layers:
            layer = self._layers.pop()
            left = deadline - asyncio.get_running_loop().time() - _RESERVED_FOR_A_LAYER * len(self._layers)
            began = asyncio.get_running_loop().time()
            await _stop_layer(layer.services, max(left, _RESERVED_FOR_A_LAYER) + layer.own_seconds)
            # What it needed of its own time is not taken from those below.
            deadline += min(asyncio.get_running_loop().time() - began, layer.own_seconds)
        # Only now: a service whose wait is cancelled may take that for the end of its work.
        await _cancel(*self._watchers)

    def _add_layer(self, own_seconds: float = 0.0) -> _Layer:
        layer = _Layer(own_seconds)
        self._layers.append(layer)
        return layer

    async def _start(self, service: Service[T], layer: _Layer) -> T:
        try:
            result = await service.start()
        except DispatcherError:
            raise
        except Exception as error:
            log.exception("cannot start", service=service.name)
            raise Ended(f"the {service.name} cannot start: {_shown(error)}") from error
        layer.services.append(service)
        self._watchers.append(asyncio.create_task(self._watch(service), name=f"watch {service.name}"))
        return result

    async def _watch(self, service: Service[object]) -> None:
        try:
            await service.wait()
        except DispatcherError as error:
            self._fail(error)
        except Exception as error:
            if not self._stopping:
                log.exception("ended", service=service.name)
            self._fail(Ended(f"the {service.name} ended: {_shown(error)}; start again"))
        except asyncio.CancelledError:
            watching = asyncio.current_task()
            if watching is None or watching.cancelling():
                raise
            # A part of the service was cancelled from within, as a Kafka client that stops may do.
            self._fail(Ended(f"the {service.name} was broken off; start again"))
        else:
            self._fail(Ended(f"the {service.name} ended by itself; start again"))

    def _fail(self, failure: DispatcherError) -> None:
        if not self._stopping:
            self._failure = self._failure or failure
            self._over.set()


Body = Callable[[Supervisor], Awaitable[None]]
"""Starts the services of a process, and says when it is ready."""


def run(body: Body, stopping: Callable[[], None] = lambda: None) -> None:
    """``supervise`` in an event loop of its own; the process ends in time even if something hangs while it stops.

    ``stopping`` is called before the first service is stopped.

    Raises:
        DispatcherError: something could not start, or ended by itself.
    """
    last_resort: threading.Timer | None = None

    def begin_to_stop(own_seconds: float) -> None:
        nonlocal last_resort
        last_resort = threading.Timer(STOP_SECONDS + own_seconds, os._exit, (1,))
        last_resort.daemon = True
        last_resort.start()
        stopping()

    # Thousands of records and calls are in memory at once, few of them in cycles. Python's defaults look through all of
    # them so often that it took about a quarter of a busy sender's time; ten times 5,000 objects, looked through at
    # once, were a pause of 35 ms that every message felt.
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        uvloop.run(supervise(body, stopping=begin_to_stop))
    finally:
        if last_resort is not None:
            last_resort.cancel()


async def supervise(body: Body, stopping: Callable[[float], None] = lambda _: None) -> None:
    """Run ``body``, which starts services; then until a signal, or until one of them ends; then stop them all.

    SIGINT, SIGTERM and SIGHUP stop the process, also while it starts. A second one ends it at once.
    ``stopping`` is called once, before the first service is stopped, with the services' own seconds to stop.

    Raises:
        DispatcherError: something could not start, or ended by itself.
    """
    supervisor = Supervisor()
    with _Signals(supervisor.end):
        starting = asyncio.ensure_future(body(supervisor))
        over = asyncio.create_task(supervisor.over())
        try:
            await asyncio.wait((starting, over), return_when=asyncio.FIRST_COMPLETED)
            if not over.done():
                await starting
            await over
        finally:
            stopping(supervisor.own_seconds)
            await _cancel(starting, over, within=_CANCELLED_START_SECONDS + supervisor.own_seconds)
            await supervisor.stop(STOP_SECONDS - 1)


class _Signals:
    """Calls ``stop`` at the first signal; the second one ends the process."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._asked = False

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        # Whoever starts us with nohup means it.
        ignored = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()
        self._handled = [number for number in _STOP_SIGNALS if number not in ignored]
        for number in self._handled:
            loop.add_signal_handler(number, self._handle, number)

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in self._handled:
            loop.remove_signal_handler(number)

    def _handle(self, number: int) -> None:
        if self._asked:
            os._exit(128 + number)
        self._asked = True
        log.info("stopping; once more ends at once", signal=signal.Signals(number).name)
        self._stop()


async def _stop_layer(layer: Sequence[Service[object]], seconds: float) -> None:
    if not layer:
        return
    tasks = {asyncio.create_task(service.stop()): service for service in reversed(layer)}
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task, service in tasks.items():
        if task in late:
            log.warning("does not stop in time and is given up", service=service.name)
        elif task.cancelled():
            log.error("does not stop well: something cancelled it", service=service.name)
        elif (error := task.exception()) is not None:
            log.error("does not stop well", service=service.name, exc_info=error)
    await _cancel(*late)


async def _cancel(*tasks: asyncio.Future[None], within: float = 0.5) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        # What ignores its cancellation as well must not keep the others waiting.
        done, _ = await asyncio.wait(tasks, timeout=within)
        for task in done:
            if not task.cancelled():
                task.exception()  # whoever cancels a task does not want to hear of it


def _shown(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
