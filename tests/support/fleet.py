"""Roles as real processes, ``dispatcher run ROLE``, which tests kill, stop and start again."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import aiohttp

from dispatcher.assembly import RoleName
from dispatcher.settings import PREFIX, Settings
from dispatcher.up.sender_process import READY
from tests.support import run_with_wrong_clock
from tests.support.exposed import Samples, samples
from tests.support.waiting import eventually

_START_SECONDS = 150.0
_STOP_SECONDS = 40.0


class WrongClock:
    """The clock of a machine that is off by so many seconds, for processes that are started with it."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "clock"
        self.is_off_by(0)

    @property
    def program(self) -> tuple[str, ...]:
        """What Python is to run in place of ``-m dispatcher``."""
        return "-P", run_with_wrong_clock.__file__, str(self._file)

    def is_off_by(self, seconds: float) -> None:
        """From now on, in processes that run too."""
        written = self._file.with_suffix(".new")
        written.write_text(str(seconds))
        written.replace(self._file)


class RoleProcess:
    """A process that runs roles. It ends with this one, however this one ends."""

    def __init__(
        self,
        roles: tuple[str, ...],
        environment: dict[str, str],
        directory: Path,
        name: str,
        clock: "WrongClock | None" = None,
    ) -> None:
        self.roles = roles
        self.name = name
        self._output = directory / f"{name}.out"
        self.log = directory / f"{name}.log"
        with self._output.open("wb") as output, self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *(clock.program if clock else ("-m", "dispatcher")), "run", *roles, "--guarded"],
                env=environment,
                cwd=directory,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=log,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def memory(self) -> float:
        """Resident, in MiB."""
        listed = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(self._process.pid)], capture_output=True, text=True, check=True
        )
        return int(listed.stdout) / 1024

    async def ready(self) -> None:
        def is_ready() -> bool:
            if not self.running:
                raise RuntimeError(f"{self.name} ended with {self._process.returncode}:\n{self.log.read_text()}")
            return bool(self._said())

        await eventually(is_ready, timeout=_START_SECONDS, what=f"{self.name} is ready")

    async def metrics(self) -> Samples:
        """What it tells operators' systems; it is ready."""
        _, address = self._said()
        async with aiohttp.ClientSession() as session, session.get(address) as response:
            return samples(await response.text())

    async def kill(self) -> None:
        """SIGKILL; it is gone afterwards."""
        self._process.kill()
        await self._gone(_STOP_SECONDS)

    async def stop(self) -> None:
        """SIGTERM; an AssertionError if it does not end well, in time."""
        self._process.send_signal(signal.SIGTERM)
        await self._gone(_STOP_SECONDS)
        assert self._process.returncode == 0, f"{self.name} ended with {self._process.returncode}"

    def _said(self) -> list[str]:
        """The words of the line that says that it is ready, where it has said so."""
        lines = [line.split() for line in self._output.read_text().splitlines()]
        return next((words for words in lines if words[:1] == [READY]), [])

    async def _gone(self, within: float) -> None:
        await eventually(lambda: not self.running, timeout=within, every=0.005, what=f"{self.name} is gone")
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def end(self) -> None:
        if self.running:
            await self.kill()


class Fleet:
    """The processes of one test. ``settings`` has what they need."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self._directory = directory
        self._environment = _environment(settings)
        self._numbers = count(1)
        self.members: list[RoleProcess] = []

    async def start(self, *roles: RoleName, clock: WrongClock | None = None, **settings: str) -> RoleProcess:
        """A process with these roles, ready. ``settings`` are variables of its own, without their prefix."""
        (member,) = await self.start_all(roles, clock=clock, **settings)
        return member

    async def start_all(
        self, *sets: tuple[RoleName, ...], clock: WrongClock | None = None, **settings: str
    ) -> list[RoleProcess]:
        """Processes with a set of roles each, started at once; they are ready."""
        members = self.begin(*sets, clock=clock, **settings)
        await asyncio.gather(*(member.ready() for member in members))
        return members

    def begin(self, *sets: tuple[RoleName, ...], clock: WrongClock | None = None, **settings: str) -> list[RoleProcess]:
        """The same, and they have just begun to start."""
        environment = {**self._environment, **{f"{PREFIX}{name}": value for name, value in settings.items()}}
        members = []
        for roles in sets:
            name = f"{'-'.join(roles)}-{next(self._numbers)}"
            members.append(RoleProcess(roles, environment, self._directory, name, clock))
        self.members += members
        return members

    def assert_running(self, *members: RoleProcess) -> None:
        """These run, and no others: nobody died who was not killed."""
        for member in members:
            assert member.running, member.log.read_text()
        assert sum(member.running for member in self.members) == len(members)

    async def close(self) -> None:
        await asyncio.gather(*(member.end() for member in self.members))


@asynccontextmanager
async def a_fleet(settings: Settings, directory: Path) -> AsyncIterator[Fleet]:
    """Nothing of it is left afterwards."""
    fleet = Fleet(settings, directory)
    try:
        yield fleet
    finally:
        await fleet.close()


def _environment(settings: Settings) -> dict[str, str]:
    key, secret = settings.encryption_key, settings.auth_secret
    assert key is not None
    assert secret is not None
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "KAFKA_PREFIX": settings.kafka_prefix,
        "TOPICS_FILE": settings.topics_file,
        "DATA_DIR": settings.data_dir,
        "CLICKHOUSE_URL": settings.clickhouse_url,
        "ENCRYPTION_KEY": key.get_secret_value(),
        "AUTH_SECRET": secret.get_secret_value(),
        "HTTP_PORT": settings.http_port,
        "ALLOWED_TARGET_NETWORKS": ",".join(str(each) for each in settings.allowed_target_networks),
        "REQUEST_TIMEOUT": f"{round(settings.request_timeout.total_seconds())}s",
        "METRICS_PORT": 0,
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "warning",
    }
    own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**own, **{f"{PREFIX}{name}": str(value) for name, value in given.items() if value is not None}}
