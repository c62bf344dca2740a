"""A connection over which every answer may take its time: a relay of TCP on loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_BLOCK = 64 * 1024


class SlowLink:
    """A link to a port of loopback; what comes from there is passed on ``seconds`` later."""

    def __init__(self, port: int) -> None:
        self.seconds = 0.0
        self.url = ""
        self._port = port
        self._ways: set[asyncio.Task[None]] = set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        for way in (self._pass_on(reader, back, late=False), self._pass_on(there, writer, late=True)):
            self._ways.add(asyncio.create_task(way))

    async def _pass_on(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, *, late: bool) -> None:
        with suppress(ConnectionError):
            while block := await source.read(_BLOCK):
                await asyncio.sleep(self.seconds if late else 0)
                to.write(block)
                await to.drain()
        to.close()

    async def close(self) -> None:
        for way in self._ways:
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)


@asynccontextmanager
async def a_slow_link(port: int) -> AsyncIterator[SlowLink]:
    """Not slow yet."""
    link = SlowLink(port)
    server = await asyncio.start_server(link.connected, "127.0.0.1", 0)
    link.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield link
    finally:
        server.close()
        await link.close()
        await server.wait_closed()
