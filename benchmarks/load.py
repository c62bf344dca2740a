"""Dispatchers that run in a data directory of their own, what is configured there before, and their targets."""

import asyncio
import atexit
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import psutil
import yaml

from benchmarks.api import Api
from benchmarks.events import ORGANIZATION
from benchmarks.processes import Processes, cpu_seconds, processes_of
from dispatcher.kafka.administration import apply
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.embedded import EmbeddedKafka
from dispatcher.kafka.embedded.running import running_servers
from dispatcher.kafka.plan import Cluster, plan
from dispatcher.kafka.topics import load_topics
from dispatcher.local_secrets import local_secrets
from dispatcher.settings import Settings, default_topics_file, load_settings
from dispatcher.up.sender_process import READY
from dispatcher.webhooks.change import Place, write_webhook
from dispatcher.webhooks.vault import Vault
from dispatcher.webhooks.webhook import Webhook
from tests.support.dispatcher import environment, free_port

DISPATCHER = Path(sys.executable).with_name("dispatcher")

HOLDS_AFTER_SECONDS = 1.5
"""A change of a webhook holds for events that are published a second later."""

_SETTLED_CORES = 0.25
_SETTLES_WITHIN_SECONDS = 20.0
_READY_WITHIN_SECONDS = 60.0
_STOPS_WITHIN_SECONDS = 30.0


def settings_in(data_dir: Path) -> Settings:
    """The settings of a dispatcher in a data directory, with the secrets that it has or will have there."""
    settings = load_settings(_env_file=None, data_dir=data_dir)
    return local_secrets(settings, generate=True).applied_to(settings)


def topics_file(directory: Path, **retry: object) -> Path:
    """The repo's ``topics.yaml`` with another ``schedule``."""
    topics = yaml.safe_load(default_topics_file().read_text(encoding="utf-8"))
    topics["retry"].update(retry)
    path = directory / "topics.yaml"
    path.write_text(yaml.safe_dump(topics), encoding="utf-8")
    return path


@asynccontextmanager
async def broker(data_dir: Path, topics: Path | None = None) -> AsyncIterator[KafkaClients]:
    """The embedded broker alone, with all topics: to prepare what a dispatcher will find when it starts."""
    settings = settings_in(data_dir)
    kafka = EmbeddedKafka(data_dir)
    clients = KafkaClients(settings, await kafka.start())
    try:
        await apply(clients, plan(load_topics(topics or settings.topics_file, ""), Cluster(brokers=1, topics={})))
        yield clients
    finally:
        await kafka.stop()


async def configure(clients: KafkaClients, data_dir: Path, webhooks: Iterable[Webhook]) -> None:
    """Write new webhooks as the portal does, without asking it for each: 100,000 would take it minutes."""
    key = settings_in(data_dir).encryption_key
    assert key is not None
    vault = Vault(key.get_secret_value())
    async with clients.producer(linger_ms=5) as producer:
        futures = []
        for webhook in webhooks:
            place = Place(webhook.id, 1, 0)
            value = write_webhook(webhook, vault)
            futures.append(
                await producer.send("webhooks.config", value, place.key, headers=place.headers(), partition=0)
            )
        await asyncio.gather(*futures)


@asynccontextmanager
async def receiver(module: str = "benchmarks.receiver") -> AsyncIterator[str]:
    """A receiver in a process of its own; yields its URL."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", module, str(port)])
    try:
        url = f"http://127.0.0.1:{port}/"
        await _until_answers(url)
        yield url
    finally:
        process.terminate()
        process.wait()


async def received(url: str, method: str = "GET") -> dict[str, Any]:
    """What the receiver has to say."""
    async with aiohttp.ClientSession() as session, session.request(method, url) as response:
        counted: dict[str, Any] = orjson.loads(await response.read())
        return counted


Process = subprocess.Popen[bytes]


def api_at(port: int, data_dir: Path) -> Api:
    """The API on a port of loopback, of a dispatcher with the secrets that are in a data directory."""
    command = [str(DISPATCHER), "token", "--organization", ORGANIZATION]
    token = subprocess.check_output(command, env=_environment(DATA_DIR=str(data_dir)), text=True)
    return Api(f"http://127.0.0.1:{port}", token.strip())


class Deployment(ABC):
    """A dispatcher that runs, on the broker of a data directory."""

    data_dir: Path

    @abstractmethod
    def processes(self) -> Processes:
        """Its processes, by name."""

    def clients(self) -> KafkaClients:
        """Clients of its broker."""
        return KafkaClients(load_settings(_env_file=None), running_servers(self.data_dir))

    def cpu_seconds(self) -> Counter[str]:
        """Processor time so far, by name."""
        return cpu_seconds(self.processes())

    async def configure(self, webhooks: Iterable[Webhook]) -> None:
        """Write new webhooks; they hold for what is published afterwards."""
        await configure(self.clients(), self.data_dir, webhooks)
        await asyncio.sleep(HOLDS_AFTER_SECONDS)

    async def settled(self) -> None:
        """Wait until what follows deliveries, such as recording them, is done: until little of a core is used."""
        before = self.cpu_seconds().total()
        for _ in range(int(_SETTLES_WITHIN_SECONDS)):
            await asyncio.sleep(1)
            now = self.cpu_seconds().total()
            if now - before < _SETTLED_CORES:
                return
            before = now


@asynccontextmanager
async def role_processes(roles: Sequence[str], data_dir: Path, **settings: str) -> AsyncIterator[list[Process]]:
    """A `dispatcher run` for each of these roles, ready, on the broker that runs in a data directory."""
    here, servers = settings_in(data_dir), running_servers(data_dir)
    key, secret = here.encryption_key, here.auth_secret
    assert key is not None
    assert secret is not None
    assert servers is not None
    variables = _environment(
        DATA_DIR=str(data_dir),
        KAFKA_BOOTSTRAP_SERVERS=servers,
        ENCRYPTION_KEY=key.get_secret_value(),
        AUTH_SECRET=secret.get_secret_value(),
        **settings,
    )
    log, started = data_dir / "roles.log", list[Process]()
    try:
        with log.open("ab") as written:
            for role in roles:
                command = [str(DISPATCHER), "run", role, "--guarded"]
                pipe = subprocess.PIPE
                started.append(subprocess.Popen(command, env=variables, stdin=pipe, stdout=pipe, stderr=written))
        for role, process in zip(roles, started, strict=True):
            assert process.stdout is not None
            readable, _, _ = await asyncio.to_thread(select.select, [process.stdout], [], [], _READY_WITHIN_SECONDS)
            if not readable or not process.stdout.readline().startswith(READY.encode()):
                raise RuntimeError(f"a {role} did not get ready:\n{_end_of(log)}")
        yield started
    finally:
        for process in started:
            process.terminate()
        for process in started:
            try:
                await asyncio.to_thread(process.wait, _STOPS_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                stream.close()


@dataclass(frozen=True)
class Running(Deployment):
    """`dispatcher up`."""

    process: Process
    api: Api
    data_dir: Path
    beside: list[tuple[str, Process]] = field(default_factory=list)

    def processes(self) -> Processes:
        """By name: main (every role but the senders, and ClickHouse), senders, broker, and what was started beside."""
        found = processes_of(self.process.pid)
        return found + [(name, psutil.Process(process.pid)) for name, process in self.beside if process.poll() is None]

    @asynccontextmanager
    async def with_matchers(self, count: int) -> AsyncIterator[None]:
        """So many matcher processes beside the matcher of `up`."""
        async with role_processes(["matcher"] * count, self.data_dir) as started:
            self.beside.extend(("matchers", process) for process in started)
            yield


@asynccontextmanager
async def dispatcher(senders: int, data_dir: Path, **settings: str) -> AsyncIterator[Running]:
    """`dispatcher up --senders N`, ready, with its log in a file; ``settings`` are variables without their prefix."""
    port = free_port()
    variables = _environment(DATA_DIR=str(data_dir), HTTP_PORT=str(port), CLICKHOUSE_HTTP_PORT="0", **settings)
    command = [str(DISPATCHER), "up", "--senders", str(senders)]
    process, log = _begun(command, variables, data_dir)
    try:
        try:
            await _until_answers(f"http://127.0.0.1:{port}/health/ready", process)
        except (RuntimeError, TimeoutError):
            print(_end_of(log), file=sys.stderr)
            raise
        yield Running(process, api_at(port, data_dir), data_dir)
    finally:
        process.send_signal(signal.SIGINT)
        await asyncio.to_thread(process.wait, 60)


def _environment(**settings: str) -> dict[str, str]:
    return environment(ALLOWED_TARGET_NETWORKS="127.0.0.0/8", **settings)


def _begun(command: Sequence[str], variables: Mapping[str, str], data_dir: Path) -> tuple[Process, Path]:
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / "dispatcher.log"
    with log.open("wb") as written:
        return subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=written), log


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-4_000:]


@asynccontextmanager
async def scratch() -> AsyncIterator[Path]:
    """A directory that goes away when all parts have been measured.

    For some minutes after thousands of files were deleted, ext4 makes new ones much more slowly: it passes over each
    of those inodes. What a part leaves would cost the next one a third of what ClickHouse does.
    """
    yield Path(tempfile.mkdtemp(dir=_kept_until_the_end()))


@cache
def _kept_until_the_end() -> str:
    directory = tempfile.mkdtemp(prefix="dispatcher-bench-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


async def _until_answers(url: str, process: Process | None = None, seconds: float = 180) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(seconds):
        while True:
            if process is not None and process.poll() is not None:
                raise RuntimeError("the dispatcher ended before it was ready")
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
