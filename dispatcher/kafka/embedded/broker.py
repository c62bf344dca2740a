"""The embedded broker's life: its directory, its process, and what to tell people when something is in the way.

Under ``<data dir>/kafka``: ``lock``, ``ports.json``, ``server.properties`` and ``log4j2.properties`` (written anew at
each start), ``broker.log`` and ``console.log`` (what Kafka and Java say), and ``data``, which Kafka calls its logs.
"""

import asyncio
import base64
import contextlib
import shutil
import subprocess
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from dispatcher.errors import EmbeddedKafkaError
from dispatcher.kafka.embedded.configuration import HOST, LOGGING, Ports, server_properties
from dispatcher.kafka.embedded.distribution import Progress, classpath, install, java, pinned_jars
from dispatcher.kafka.embedded.lock import DirectoryLock, lock_directory
from dispatcher.kafka.embedded.process import GuardedProcess

log = structlog.get_logger()

# Four seconds on a machine at rest. A busy one, or much to look through after an unclean end, takes minutes.
_READY_WITHIN = 300.0
_TELL_EVERY = 10.0
_STOP_WITHIN = 20.0
_LOOK_EVERY = 0.1
_PORT_TRIES = 3

# Kafka's data is in the page cache, not in the heap. While the collector collects, everybody waits: two threads with
# 64 MB for what is new do so for 5 ms every two seconds at a gentle load. The serial one did for 9 ms each second,
# which was the slowest hundredth of all messages. Some 55 MB of the heap live, at rest and under load; what it may take
# beyond fills up before all of it is collected, once in a long while, so it is what the broker's memory grows to.
# More code than the 48 MB of a single tier, and more classes than Java expects, are collections of the whole heap of 80
# and 20 ms.
# Kafka still calls what newer versions of Java warn about.
_JVM = (
    *("-Xms128m", "-Xmx256m", "-Xmn64m", "-XX:+UseParallelGC", "-XX:ParallelGCThreads=2"),
    "-XX:-UseGCOverheadLimit",  # a slow broker is better than one that ends
    *("-XX:TieredStopAtLevel=1", "-XX:ReservedCodeCacheSize=128m", "-XX:MetaspaceSize=64m"),
    "--sun-misc-unsafe-memory-access=allow",
)
_SHORT_JVM = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_PORT_TAKEN = ("Address already in use", "BindException")
_CLEAN = ".kafka_cleanshutdown"
_METADATA = "__cluster_metadata-0"

STOP_SECONDS = _STOP_WITHIN + 1
"""How long ``stop`` takes at most: a broker that does not end by itself is killed."""


class EmbeddedKafka:
    """One KRaft node, broker and controller, on loopback.

    Its process ends with this one, whatever ends this one, and its data stays for the next start.
    """

    def __init__(
        self, data_dir: Path, progress: Progress | None = None, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """``progress`` hears, from another thread, of the jars that are fetched at the first start.

        ``say`` hears why a start takes longer than usual.
        """
        self.directory = data_dir.absolute() / "kafka"
        self._data = self.directory / "data"
        self._ports_file = self.directory / "ports.json"
        self._progress = progress or (lambda _there, _needed: None)
        self._say = say
        self._lock: DirectoryLock | None = None
        self._process: GuardedProcess | None = None
        self._stopping = False

    async def start(self) -> str:
        """Return the bootstrap servers when the broker answers: after some 4 s, the first time after its download.

        Raises:
            EmbeddedKafkaError: it cannot be installed or started; the message says what to do.
        """
        if self._lock is not None:
            raise EmbeddedKafkaError(f"the embedded Kafka in {self.directory} is started already: stop it first")
        self._stopping = False
        self._make_directory()
        self._lock = await lock_directory(self.directory, patience=_STOP_WITHIN + 5, say=self._say)
        try:
            program = java()
            jars = classpath(await self._install())
            await self._format(program, jars)
            return await self._run(program, jars, self._lock)
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> None:
        """Return when the broker was stopped.

        Raises:
            EmbeddedKafkaError: it ended by itself.
        """
        if self._process is not None:
            await self._process.ended()
        if not self._stopping:
            raise EmbeddedKafkaError(f"the embedded Kafka broker ended by itself{self._why()}; start again")

    async def stop(self) -> None:
        """End the broker and let go of its directory. Does nothing when there is none."""
        self._stopping = True
        process, self._process = self._process, None
        lock, self._lock = self._lock, None
        try:
            if process is not None:
                await process.end()
        finally:
            if lock is not None:
                lock.release()

    def _make_directory(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            (self.directory / "log4j2.properties").write_text(LOGGING, encoding="utf-8")
        except OSError as error:
            raise EmbeddedKafkaError(
                f"{self.directory} cannot be written ({error.strerror}): "
                "set DISPATCHER_DATA_DIR to a directory that can be"
            ) from error

    async def _install(self) -> list[Path]:
        cancelled = threading.Event()
        try:
            return await asyncio.to_thread(install, pinned_jars(), self._progress, cancelled)
        finally:
            cancelled.set()

    async def _format(self, program: Path, jars: str) -> None:
        """Give the directory its identity. It appears whole or not at all, whenever this is interrupted."""
        if _cluster(self._data) is not None:
            return
        if self._data.exists():
            if any(path.is_dir() for path in self._data.iterdir()):
                raise EmbeddedKafkaError(
                    f"{self._data} holds data but its meta.properties is missing or broken: put that file back from a "
                    f"copy, or give up what the broker holds with `rm -r {self.directory}`, and start again"
                )
            shutil.rmtree(self._data)
        unfinished = self.directory / "formatting"
        shutil.rmtree(unfinished, ignore_errors=True)
        properties = self.directory / "formatting.properties"
        properties.write_text(server_properties(Ports.choose(), logs=unfinished.name), encoding="utf-8")
        command = (
            program,
            *_SHORT_JVM,
            "-cp",
            jars,
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            new_identity(),
        )
        status, output = await _ended((*command, "--config", properties.name), self.directory)
        if status:
            raise EmbeddedKafkaError(f"{self._data} cannot be formatted (exit status {status}): {_complaint(output)}")
        unfinished.rename(self._data)
        properties.unlink()

    async def _run(self, program: Path, jars: str, lock: DirectoryLock) -> str:
        if _unclean(self._data):
            self._say("Kafka was not stopped cleanly the last time: it looks through its data")
        ports = Ports.read(self._ports_file)
        if ports is None or not ports.free_now:
            ports = Ports.choose()
        for attempt in range(1, _PORT_TRIES + 1):
            (self.directory / "server.properties").write_text(
                server_properties(ports, logs=self._data.name), encoding="utf-8"
            )
            process = self._process = self._start_process(program, jars, lock)
            servers = f"{HOST}:{ports.broker}"
            if await self._is_ready(process, ports, servers):
                ports.remember(self._ports_file)
                log.info("embedded Kafka runs", servers=servers, directory=str(self.directory))
                return servers
            why = self._why() if not process.running else f": it does not answer within {_READY_WITHIN:.0f} s"
            await process.end()
            # Between the choice of a port and the broker's start somebody else may have taken it.
            if attempt == _PORT_TRIES or not any(sign in why for sign in _PORT_TAKEN):
                break
            ports = Ports.choose()
        raise EmbeddedKafkaError(f"the embedded Kafka broker does not start{why}")

    async def _is_ready(self, process: GuardedProcess, ports: Ports, servers: str) -> bool:
        """Whether the broker answers, as soon as it does; False when it ends instead, or takes too long."""
        clock = asyncio.get_running_loop().time
        started = clock()
        tell_at = started + _TELL_EVERY
        cluster = _cluster(self._data)
        while process.running and clock() < started + _READY_WITHIN:
            # Another cluster answers where a port was taken meanwhile; ours then ends.
            if await _listens(ports.broker) and await _answering(servers) == cluster:
                return True
            if clock() >= tell_at:
                tell_at += _TELL_EVERY
                self._say(f"Kafka is still starting, after {clock() - started:.0f} s")
            await asyncio.sleep(_LOOK_EVERY)
        return False

    def _start_process(self, program: Path, jars: str, lock: DirectoryLock) -> GuardedProcess:
        (self.directory / "broker.log").unlink(missing_ok=True)
        process = GuardedProcess(
            [
                *(program, *_JVM, "-Ddispatcher.log=broker.log", "-Dlog4j2.configurationFile=log4j2.properties"),
                *("-cp", jars, "kafka.Kafka", "server.properties"),
            ],
            self.directory,
            console=self.directory / "console.log",
            lock=lock.descriptor,
            grace=_STOP_WITHIN,
        )
        lock.name_holders(process.pid)
        return process

    def _why(self) -> str:
        for name in ("broker.log", "console.log"):
            with contextlib.suppress(OSError):
                text = (self.directory / name).read_text(encoding="utf-8", errors="replace")
                if complaint := _complaint(text):
                    return f": {complaint} (see {self.directory / name})"
        return ""


def _cluster(data: Path) -> str | None:
    """The identity that formatting gave to a directory; None when it has none."""
    try:
        lines = (data / "meta.properties").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    return next((line.removeprefix("cluster.id=") for line in lines if line.startswith("cluster.id=")), None)


def _unclean(data: Path) -> bool:
    """Whether there is data, and the broker did not end as it was asked to."""
    partitions = (path for path in data.iterdir() if path.is_dir() and path.name != _METADATA)
    return not (data / _CLEAN).exists() and any(partitions)


def new_identity(new_uuid: Callable[[], uuid.UUID] = uuid.uuid4) -> str:
    """An identity for a cluster, as Kafka writes them.

    None that begins with a dash, as one of 64 does: Kafka's programs take it for an option, and end with their usage.
    """
    while (identity := base64.urlsafe_b64encode(new_uuid().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return identity


async def _ended(command: tuple[str | Path, ...], directory: Path) -> tuple[int, str]:
    """A program's exit status and all that it wrote."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        output, _ = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    return process.returncode or 0, output.decode(errors="replace")


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
    return lines[-1] if lines else "it said nothing"


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _answering(servers: str) -> str | None:
    """The identity of the cluster that answers, if a broker of it is ready to work."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=2_000)
    try:
        await admin.start()
        description = await admin.describe_cluster()
    except (KafkaError, OSError):
        return None
    finally:
        await admin.close()
    return description["cluster_id"] if description["brokers"] else None
