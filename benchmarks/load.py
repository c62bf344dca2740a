"""A running `dispatcher up` in a data directory of its own, its targets, and what its processes cost."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import psutil

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.embedded.running import running_servers
from dispatcher.settings import load_settings

ORGANIZATION = "org-bench"
DISPATCHER = Path(sys.executable).with_name("dispatcher")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


async def received(url: str) -> dict[str, Any]:
    """What the receiver has counted."""
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        counted: dict[str, Any] = orjson.loads(await response.read())
        return counted


@dataclass(frozen=True)
class Running:
    """A dispatcher that runs."""

    process: subprocess.Popen[bytes]
    api: str
    token: str
    environment: dict[str, str]

    def clients(self, data_dir: Path) -> KafkaClients:
        return KafkaClients(load_settings(_env_file=None), running_servers(data_dir))

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time so far by process: the broker, each sender, and the main process with all other roles."""
        main = psutil.Process(self.process.pid)
        used: dict[str, float] = {}
        for process in [main, *main.children(recursive=True)]:
            with_arguments = " ".join(process.cmdline())
            if process.pid == main.pid:
                name = "main"
            elif "kafka.Kafka" in with_arguments:
                name = "broker"
            elif "sender" in with_arguments:
                name = "senders"
            else:
                name = "other"
            times = process.cpu_times()
            used[name] = used.get(name, 0.0) + times.user + times.system
        return used

    async def request(self, method: str, path: str, body: object = None) -> Any:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {self.token}"}) as session,
            session.request(method, f"{self.api}/api/v1/organizations/{ORGANIZATION}{path}", json=body) as response,
        ):
            answer = await response.read()
            if response.status >= 400:
                raise RuntimeError(f"{method} {path}: {response.status} {answer.decode()}")
            return orjson.loads(answer) if answer else None

    async def create_webhooks(self, urls: Sequence[str]) -> list[str]:
        return [await self.create_webhook(f"Benchmark {number}", url) for number, url in enumerate(urls)]

    async def create_webhook(self, name: str, url: str, entity_types: Sequence[str] = ()) -> str:
        """A webhook for objects of these types, or of all; enabled."""
        webhook = await self.request(
            "POST",
            "/webhooks",
            {
                "name": name,
                "event_type": "object_created",
                "target_url": url,
                "items": {"ids": list(entity_types)} if entity_types else {"all": True},
                "payload_template": {"text": "#entity_name was created by #triggered_by_name", "at": "#timestamp"},
            },
        )
        await self.request("POST", f"/webhooks/{webhook['id']}/enable")
        return str(webhook["id"])


@asynccontextmanager
async def dispatcher(senders: int, data_dir: Path, **settings: str) -> AsyncIterator[Running]:
    """`dispatcher up --senders N`, ready; ``settings`` are variables without their prefix."""
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DISPATCHER_")},
        "DISPATCHER_DATA_DIR": str(data_dir),
        "DISPATCHER_HTTP_PORT": str(port),
        "DISPATCHER_CLICKHOUSE_HTTP_PORT": "0",
        "DISPATCHER_ALLOWED_TARGET_NETWORKS": "127.0.0.0/8",
        "DISPATCHER_LOG_LEVEL": "warning",
        **{f"DISPATCHER_{name}": value for name, value in settings.items()},
    }
    process = subprocess.Popen([str(DISPATCHER), "up", "--senders", str(senders)], env=environment)
    try:
        api = f"http://127.0.0.1:{port}"
        await _until_answers(f"{api}/health/ready", process)
        token = subprocess.check_output(
            [str(DISPATCHER), "token", "--organization", ORGANIZATION], env=environment, text=True
        )
        yield Running(process, api, token.strip(), environment)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


@asynccontextmanager
async def scratch() -> AsyncIterator[Path]:
    """A directory that goes away."""
    with tempfile.TemporaryDirectory(prefix="dispatcher-bench-") as directory:
        yield Path(directory)


async def _until_answers(url: str, process: subprocess.Popen[bytes] | None = None, seconds: float = 180) -> None:
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
