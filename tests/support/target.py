"""A target on loopback that does as it is told, and remembers what it received."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import time

from aiohttp import web

from tests.support.web_server import listening


@dataclass(frozen=True)
class Received:
    """One request."""

    at: float
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def attempt(self) -> int:
        return int(self.headers["webhook-attempt"])


Behaviour = Callable[[Received], Awaitable[web.StreamResponse]]


async def ok(_: Received) -> web.StreamResponse:
    return web.Response(text="ok")


def answer(status: int, **headers: str) -> Behaviour:
    async def behave(_: Received) -> web.StreamResponse:
        return web.Response(status=status, text="no", headers={k.replace("_", "-"): v for k, v in headers.items()})

    return behave


async def hang(_: Received) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


def fail_first(times: int) -> Behaviour:
    """500 for the first attempts of each message, and 200 from then on."""

    async def behave(received: Received) -> web.StreamResponse:
        return web.Response(status=500 if received.attempt <= times else 200)

    return behave


@dataclass
class Target:
    """Each path behaves in its own way; those that nobody spoke of answer 200."""

    base: str
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)

    def url(self, path: str, behaviour: Behaviour = ok) -> str:
        """The URL of a path that behaves so."""
        self.behaviours[f"/{path}"] = behaviour
        return f"{self.base}/{path}"

    def at(self, path: str) -> list[Received]:
        return [each for each in self.received if each.path == f"/{path}"]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        received = Received(time(), request.path, request.headers, await request.read())
        self.received.append(received)
        return await self.behaviours.get(request.path, ok)(received)


@asynccontextmanager
async def a_target() -> AsyncIterator[Target]:
    target = Target("")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", target.handle)
    async with listening(web.AppRunner(app, access_log=None, shutdown_timeout=0.1)) as target.base:
        yield target
