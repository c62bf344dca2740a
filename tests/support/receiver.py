"""A target on loopback that keeps what it is sent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.support.web_server import listening


@dataclass(frozen=True)
class Received:
    """A POST as it came."""

    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers 200 to everything."""

    url: str = ""
    received: list[Received] = field(default_factory=list)

    def about(self, text: str) -> list[Received]:
        """Those whose body has ``text`` in it."""
        return [each for each in self.received if text.encode() in each.body]

    async def _receive(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(headers, await request.read()))
        return web.Response(text="thanks")


@asynccontextmanager
async def receiver(port: int = 0) -> AsyncIterator[Receiver]:
    """A receiver that listens."""
    made = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", made._receive)
    async with listening(web.AppRunner(app, shutdown_timeout=1), port) as made.url:
        yield made
