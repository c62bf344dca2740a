"""The real ``dispatcher`` in processes of its own: `up` in a data directory, commands beside it, and its API."""

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from dispatcher.settings import PREFIX

DISPATCHER = str(Path(sys.executable).with_name("dispatcher"))
START_SECONDS = 120
STOP_SECONDS = 35
"""On a machine with much else to do the broker takes its time; what does not stop is given up before."""


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**settings: object) -> dict[str, str]:
    """This process's environment with no settings but these: ``DATA_DIR=…``."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**own, **{f"{PREFIX}{name}": str(value) for name, value in settings.items()}}


def run(
    *arguments: str, env: Mapping[str, str], cwd: Path, given: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. ``cwd`` is without a ``.env`` of a developer's."""
    return subprocess.run(
        [DISPATCHER, *arguments], env=env, cwd=cwd, input=given, capture_output=True, text=True, timeout=60, check=False
    )


def descendants(of: int) -> dict[int, str]:
    """The processes that a process started, and those that they did: command lines by id."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,command="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    found: dict[int, str] = {}
    parents = {of}
    while parents:
        children = {int(pid): command[0] for pid, ppid, *command in rows if int(ppid) in parents}
        found |= children
        parents = set(children)
    return found


def is_alive(process: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return bool(listed.stdout.strip()) and not listed.stdout.strip().startswith("Z")


@dataclass
class Up:
    """A ``dispatcher up``."""

    data_dir: Path
    arguments: tuple[str, ...] = ()
    settings: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.http_port, self.clickhouse_port = free_port(), free_port()
        self.env = environment(
            **{
                "DATA_DIR": self.data_dir,
                "HTTP_PORT": self.http_port,
                "CLICKHOUSE_HTTP_PORT": self.clickhouse_port,
                "ALLOWED_TARGET_NETWORKS": "127.0.0.0/8",
                **self.settings,
            }
        )
        self.api = f"http://127.0.0.1:{self.http_port}"
        self.output: list[str] = []

    def start(self) -> None:
        """Return when it is ready, and has said where to look."""
        self.process = subprocess.Popen(
            [DISPATCHER, "up", *self.arguments],
            env=self.env,
            cwd=self.data_dir.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(lines,), daemon=True)
        self._reader.start()
        while (line := lines.get(timeout=START_SECONDS)) is not None:
            if line.startswith("Ctrl-C stops everything"):
                return
        raise AssertionError(f"up ended with {self.process.wait()} before it was ready:\n{''.join(self.output)}")

    def interrupt(self) -> int:
        """Ctrl-C; the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_SECONDS)

    def everything_said(self) -> str:
        """All that it wrote, once it has ended."""
        self._reader.join(STOP_SECONDS)
        return "".join(self.output)

    def end(self) -> None:
        """Kill it if it still runs."""
        self.process.kill()
        self.process.wait()
        self._reader.join(START_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def run(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """A command beside it, as a person would type it."""
        return run(*arguments, env=self.env, cwd=self.data_dir.parent, given=given)

    def succeed(self, *arguments: str, given: str | None = None) -> str:
        """What a command that succeeds prints."""
        done = self.run(*arguments, given=given)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def token(self, *organizations: str) -> str:
        """From ``dispatcher token``."""
        return self.succeed("token", *(f"--organization={organization}" for organization in organizations)).strip()

    async def ask(self, sql: str) -> list[list[str]]:
        """The rows that the SQL port answers with."""
        address = f"http://127.0.0.1:{self.clickhouse_port}/?database=webhooks"
        async with aiohttp.ClientSession() as session, session.post(address, data=sql) as response:
            text = await response.text()
            assert response.ok, text
            return [line.split("\t") for line in text.splitlines()]

    def _read(self, lines: "queue.Queue[str | None]") -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            lines.put(line)
        lines.put(None)


@contextmanager
def running(up: Up) -> Iterator[Up]:
    """It is ready; afterwards it is gone, and so is all that it started, whatever a test did."""
    try:
        up.start()
        yield up
    finally:
        up.end()


class Api:
    """An organization's part of the API; without a ``token``, one is made."""

    def __init__(self, up: Up, organization: str, token: str | None = None) -> None:
        self._base = f"{up.api}/api/v1/organizations/{organization}"
        self._headers = {"Authorization": f"Bearer {token or up.token(organization)}"}

    async def __call__(self, method: str, path: str, body: object = None) -> Any:
        """The JSON that a request is answered with; an AssertionError when it is refused."""
        async with (
            aiohttp.ClientSession(headers=self._headers) as session,
            session.request(method, self._base + path, json=body) as response,
        ):
            assert response.ok, f"{method} {path}: {response.status} {await response.text()}"
            return await response.json() if response.status != 204 else None
