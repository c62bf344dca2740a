"""A ClickHouse server for tests: ``python -m tests.support.clickhouse_server DIRECTORY PORT``.

The embedded engine behind its HTTP port, with writes allowed, in a process of its own: it can be killed, stopped for a
while (SIGSTOP) and started again on its data as a server can. It ends when its standard input is closed.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.http_port import HttpPort
from tests.support.dispatcher import free_port
from tests.support.waiting import eventually

_START_SECONDS = 60.0


class ClickHouseServer:
    """The process, which may be killed and started again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Begin to start it; see ``ready``."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.clickhouse_server", str(self._directory), str(self._port)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    async def ready(self) -> None:
        async def answers() -> bool:
            try:
                async with aiohttp.ClientSession() as session, session.get(f"{self.url}/ping") as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False

        await eventually(answers, timeout=_START_SECONDS, every=0.1, what="ClickHouse answers")

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL; it is gone afterwards."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()


@contextmanager
def a_clickhouse_server(directory: Path) -> Iterator[ClickHouseServer]:
    """A server that starts."""
    server = ClickHouseServer(directory)
    server.start()
    try:
        yield server
    finally:
        server.kill()


async def _serve(directory: str, port: int) -> None:
    engine = ClickHouse(f"chdb://{directory}")
    opened = HttpPort(engine, port, writable=True)
    await opened.start()
    await asyncio.to_thread(sys.stdin.read)
    await opened.stop()
    await engine.close()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
