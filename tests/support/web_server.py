"""aiohttp's servers on loopback, for as long as a test needs them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def listening(runner: web.AppRunner, port: int = 0) -> AsyncIterator[str]:
    """The URL at which an application answers; 0: on any free port."""
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
