"""The embedded broker's life: its directory, its process, and what to tell people when something is in the way.

Under ``<data dir>/kafka``: ``lock``, ``ports.json``, ``server.properties`` and ``log4j2.properties`` (written anew at
each start), ``broker.log`` and ``console.log`` (what Kafka and Java say), and ``data``, which Kafka calls its logs.
"""

import asyncio
import base64
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from dispatcher.errors import EmbeddedKafkaError
from dispatcher.kafka.embedded import guardian
from dispatcher.kafka.embedded.configuration import HOST, LOGGING, Ports, server_properties
from dispatcher.kafka.embedded.distribution import Progress, classpath, install, java, pinned_jars
from dispatcher.kafka.embedded.lock import DirectoryLock

log = structlog.get_logger(__name__)

_READY_WITHIN = 60.0
_STOP_WITHIN = 20.0
_LOOK_EVERY = 0.1
_PORT_TRIES = 3

# The serial collector wants a third less CPU on a small machine; Kafka's data is in the page cache, not in the heap.
_JVM = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "--sun-misc-unsafe-memory-access=allow")
_SHORT_JVM = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_PORT_TAKEN = ("Address already in use", "BindException")


class EmbeddedKafka:
    """One KRaft node, broker and controller, on loopback.

    Its process ends with this one, whatever ends this one, and its data stays for the next start.
    """

    def __init__(self, data_dir: Path, progress: Progress | None = None) -> None:
        """``progress`` hears of the jars that are fetched at the first start."""
        self.directory = data_dir.absolute() / "kafka"
        self._data = self.directory / "data"
        self._ports_file = self.directory / "ports.json"
        self._progress = progress or (lambda _there, _needed: None)
        self._lock = DirectoryLock(self.directory / "lock")
        self._guardian: subprocess.Popen[bytes] | None = None
        self._broker: int | None = None
        self._stopping = False

    async def start(self) -> str:
        """Return the bootstrap servers when the broker answers: after some 4 s, the first time after its download.

        Raises:
            EmbeddedKafkaError: it cannot be installed or started; the message says what to do.
        """
        self._stopping = False
        self._make_directory()
        await self._lock.acquire(patience=_STOP_WITHIN)
        try:
            program = java()
            jars = classpath(await self._install())
            self._write_files()
            await self._format(program, jars)
            return await self._run(program, jars)
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> None:
        """Return when the broker was stopped.

        Raises:
            EmbeddedKafkaError: it ended by itself.
        """
        while self._guardian is not None and self._guardian.poll() is None:
            await asyncio.sleep(_LOOK_EVERY)
        if not self._stopping:
            raise EmbeddedKafkaError(f"the embedded Kafka broker ended by itself{self._why()}; start again")

    async def stop(self) -> None:
        """End the broker and let go of its directory. Does nothing when there is none."""
        self._stopping = True
        try:
            await self._end_process()
        finally:
            self._lock.release()

    def _make_directory(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddedKafkaError(
                f"{self.directory} cannot be created ({error.strerror}): "
                "set DISPATCHER_DATA_DIR to a directory that can be written"
            ) from error

    async def _install(self) -> list[Path]:
        cancelled = threading.Event()
        try:
            return await asyncio.to_thread(install, pinned_jars(), self._progress, cancelled)
        finally:
            cancelled.set()

    def _write_files(self) -> None:
        (self.directory / "log4j2.properties").write_text(LOGGING, encoding="utf-8")

    async def _format(self, program: Path, jars: str) -> None:
        """Give the directory its identity. It appears whole or not at all, whenever this is interrupted."""
        if (self._data / "meta.properties").exists():
            return
        if self._data.exists():
            if any(path.is_dir() for path in self._data.iterdir()):
                raise EmbeddedKafkaError(
                    f"{self._data} holds data but its meta.properties is missing: put that file back from a copy, "
                    f"or give up what the broker holds with `rm -r {self.directory}`, and start again"
                )
            shutil.rmtree(self._data)
        unfinished = self.directory / "formatting"
        shutil.rmtree(unfinished, ignore_errors=True)
        properties = self.directory / "formatting.properties"
        properties.write_text(server_properties(Ports.free(), logs=unfinished.name), encoding="utf-8")
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = [program, *_SHORT_JVM, "-cp", jars, "kafka.tools.StorageTool"]
        process = await asyncio.create_subprocess_exec(
            *command,
            *("format", "--cluster-id", identity, "--config", properties.name),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            output, _ = await process.communicate()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise
        if process.returncode:
            raise EmbeddedKafkaError(f"{unfinished} cannot be formatted: {_complaint(output.decode(errors='replace'))}")
        unfinished.rename(self._data)
        properties.unlink()

    async def _run(self, program: Path, jars: str) -> str:
        ports = Ports.remembered(self._ports_file)
        for last in (*[False] * (_PORT_TRIES - 1), True):
            ports = ports or Ports.free()
            (self.directory / "server.properties").write_text(
                server_properties(ports, logs=self._data.name), encoding="utf-8"
            )
            self._start_process(program, jars)
            servers = f"{HOST}:{ports.broker}"
            if await self._is_ready(ports, servers):
                ports.remember(self._ports_file)
                log.info("embedded Kafka runs", servers=servers, directory=str(self.directory))
                return servers
            why = self._why()
            await self._end_process()
            if last or not any(sign in why for sign in _PORT_TAKEN):
                raise EmbeddedKafkaError(f"the embedded Kafka broker does not start{why}")
            ports = None
        raise AssertionError

    def _start_process(self, program: Path, jars: str) -> None:
        command: list[str | Path] = [program, *_JVM, "-Ddispatcher.log=broker.log"]
        command += ["-Dlog4j2.configurationFile=log4j2.properties", "-cp", jars, "kafka.Kafka", "server.properties"]
        (self.directory / "broker.log").unlink(missing_ok=True)
        with (self.directory / "console.log").open("wb") as console:
            self._guardian = subprocess.Popen(  # noqa: S603
                [
                    sys.executable,
                    "-I",
                    "-S",
                    guardian.__file__,
                    str(_STOP_WITHIN),
                    str(self._lock.descriptor),
                    *command,
                ],
                cwd=self.directory,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=console,
                pass_fds=(self._lock.descriptor,),
                # Ctrl-C reaches a whole process group; the broker is to be the last to go.
                start_new_session=True,
            )
        self._broker = int(_output(self._guardian).readline() or 0) or None
        self._lock.name_holders(self._broker)

    async def _is_ready(self, ports: Ports, servers: str) -> bool:
        assert self._guardian is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READY_WITHIN):
                while self._guardian.poll() is None:
                    if await _listens(ports.broker) and await _answers(servers):
                        # Another program's broker on a port that was taken meanwhile is not ours.
                        return self._guardian.poll() is None
                    await asyncio.sleep(_LOOK_EVERY)
        return False

    async def _end_process(self) -> None:
        if self._guardian is None:
            return
        process, self._guardian = self._guardian, None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        while process.poll() is None:
            await asyncio.sleep(_LOOK_EVERY)
        if process.returncode < 0 and self._broker is not None:
            # The guardian was killed and could not end the broker.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._broker, signal.SIGKILL)

    def _why(self) -> str:
        for name in ("broker.log", "console.log"):
            with contextlib.suppress(OSError):
                text = (self.directory / name).read_text(encoding="utf-8", errors="replace")
                if complaint := _complaint(text[-100_000:]):
                    return f": {complaint} (see {self.directory / name})"
        return ""


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout


def _complaint(text: str) -> str:
    """The line of Kafka's or Java's output that says most about why it ended."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    tests: tuple[Callable[[str], bool], ...] = (
        lambda line: line.startswith("Caused by:"),
        lambda line: " ERROR " in line or " FATAL " in line,
        lambda line: "Exception" in line or "Error" in line,
    )
    for test in tests:
        if found := next((line for line in reversed(lines) if test(line)), None):
            return found.removeprefix("Caused by:").strip()
    return ""


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _answers(servers: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=2_000)
    try:
        await admin.start()
        return bool((await admin.describe_cluster())["brokers"])
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()
