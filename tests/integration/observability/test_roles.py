"""Every role answers operators' systems: real processes, asked over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from dispatcher.kafka.topics import Topics
from dispatcher.settings import Settings
from tests.support.commands import Command
from tests.support.dispatcher import DISPATCHER, environment, free_port
from tests.support.exposed import samples, total
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(300)


@asynccontextmanager
async def a_process(settings: Settings, directory: Path, *roles: str) -> AsyncIterator[str]:
    """The address where ``dispatcher run`` answers."""
    assert settings.encryption_key is not None
    port = free_port()
    env = environment(
        KAFKA_BOOTSTRAP_SERVERS=settings.kafka_bootstrap_servers,
        KAFKA_PREFIX=settings.kafka_prefix,
        TOPICS_FILE=settings.topics_file,
        ENCRYPTION_KEY=settings.encryption_key.get_secret_value(),
        METRICS_PORT=port,
    )
    process = await asyncio.create_subprocess_exec(DISPATCHER, "run", *roles, env=env, cwd=directory)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def test_a_process_without_a_portal_answers(settings: Settings, topics: Topics, tmp_path: Path) -> None:
    async with (
        a_process(settings, tmp_path, "matcher", "sender", "relay") as address,
        aiohttp.ClientSession(address) as session,
    ):

        async def status(path: str) -> int:
            async with session.get(path) as response:
                return response.status

        async def ready() -> bool:
            try:
                return await status("/health/ready") == 200
            except aiohttp.ClientConnectionError:
                return False

        await eventually(ready, timeout=120, every=0.1, what="readiness")
        assert await status("/health/live") == 200

        async def joined() -> bool:
            async with session.get("/metrics") as response:
                found = samples(await response.text())
            assert total(found, "dispatcher_ready") == 3
            assert total(found, "dispatcher_build_info") == 1
            assert found["dispatcher_dead_letters_total"][frozenset({("topic", topics.deliveries)})] == 0
            assert found["dispatcher_attempts_in_flight"] == {frozenset(): 0}
            return all(
                total(found, "dispatcher_rebalances_total", group=name) for name in ("matcher", "sender", "relay")
            )

        await eventually(joined, timeout=120, every=0.1, what="an assignment for each role")


@pytest.mark.usefixtures("topics")
async def test_a_taken_port_is_one_clear_error(settings: Settings, tmp_path: Path) -> None:
    with_port = Command(settings, tmp_path)
    async with a_listener() as port:
        done = await asyncio.to_thread(with_port, "run", "relay", METRICS_PORT=port)
    assert done.returncode == 1
    assert f"error: DISPATCHER_METRICS_PORT: cannot listen on 127.0.0.1:{port}" in done.stderr


@asynccontextmanager
async def a_listener() -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])
