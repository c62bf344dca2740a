"""Targets of every kind, which count what they receive: `python -m benchmarks.mixed_targets PORT`.

The path says how it behaves, see ``BEHAVIOURS``. GET / answers with a JSON object: for each path how many POSTs came,
how many different messages they had, and how many of them repeated an attempt.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import uvloop
from aiohttp import ClientConnectionResetError, web

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def good(_: web.Request) -> web.StreamResponse:
    return web.Response(text="ok")


async def slow(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(0.4)
    return web.Response(text="at last")


async def flaky(request: web.Request) -> web.StreamResponse:
    """Busy at first, and fine afterwards."""
    return web.Response(status=503 if request.headers["webhook-attempt"] == "1" else 200)


async def failing(_: web.Request) -> web.StreamResponse:
    return web.Response(status=500, text="no")


async def hanging(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def dripping(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x")
        await asyncio.sleep(0.1)


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65_536)


async def closing(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


BEHAVIOURS: dict[str, Behaviour] = {
    behaviour.__name__: behaviour for behaviour in (good, slow, flaky, failing, hanging, dripping, endless, closing)
}


@dataclass
class Count:
    posts: int = 0
    messages: set[str] = field(default_factory=set)
    attempts: set[tuple[str, str]] = field(default_factory=set)
    twice: int = 0

    def add(self, message: str, attempt: str) -> None:
        self.posts += 1
        self.messages.add(message)
        self.twice += (message, attempt) in self.attempts
        self.attempts.add((message, attempt))


async def serve(port: int) -> None:
    """Serve on loopback until the process is told to end."""
    counts = {name: Count() for name in BEHAVIOURS}

    async def receive(request: web.Request) -> web.StreamResponse:
        await request.read()
        name = request.match_info["behaviour"]
        counts[name].add(request.headers["webhook-id"], request.headers["webhook-attempt"])
        try:
            return await BEHAVIOURS[name](request)
        except ClientConnectionResetError:
            return web.Response()  # nobody listens any more

    async def report(_: web.Request) -> web.StreamResponse:
        return web.json_response(
            {
                name: {"posts": count.posts, "messages": len(count.messages), "twice": count.twice}
                for name, count in counts.items()
            }
        )

    app = web.Application()
    app.router.add_get("/", report)
    app.router.add_post("/{behaviour}", receive)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
