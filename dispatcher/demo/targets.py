"""Targets of a demonstration, on loopback: one that answers well, and several that do not."""

import asyncio
import json
import socket
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from aiohttp import web

from dispatcher.errors import ConfigurationError

HOST = "127.0.0.1"

_SLOW_SECONDS = (0.5, 2.5)
_BAD_SHARE = 0.4
_STOP_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Addresses:
    """URLs by how their target behaves. They stay the same from one start to the next: webhooks hold them."""

    listening: int
    silent: int

    @property
    def well(self) -> str:
        """Answers 200 at once."""
        return f"http://{HOST}:{self.listening}/well"

    @property
    def badly(self) -> str:
        """Answers 500 or 503 some of the time."""
        return f"http://{HOST}:{self.listening}/badly"

    @property
    def slowly(self) -> str:
        """Answers 200 after a second or two."""
        return f"http://{HOST}:{self.listening}/slowly"

    @property
    def hanging(self) -> str:
        """Takes the call and never answers."""
        return f"http://{HOST}:{self.listening}/hanging"

    @property
    def gone(self) -> str:
        """Answers 410: it wants no more calls."""
        return f"http://{HOST}:{self.listening}/gone"

    @property
    def nobody(self) -> str:
        """Refuses connections: nobody listens."""
        return f"http://{HOST}:{self.silent}/"


class Targets:
    """The targets. ``random`` decides how they misbehave; ``file`` remembers their ports."""

    def __init__(self, file: Path, random: Random) -> None:
        self._file = file
        self._random = random
        self._sockets = ExitStack()
        self._runner: web.AppRunner | None = None
        self._let_go = asyncio.Event()

    async def start(self) -> Addresses:
        """Listen; where.

        Raises:
            ConfigurationError: another program has taken one of the ports meanwhile.
        """
        remembered = _remembered(self._file)
        listening = self._bind(remembered.listening if remembered else 0)
        # A port that is bound and not listened on refuses connections, and nobody else can take it.
        silent = self._bind(remembered.silent if remembered else 0)
        addresses = Addresses(listening.getsockname()[1], silent.getsockname()[1])
        app = web.Application()
        app.router.add_post("/well", self._well)
        app.router.add_post("/badly", self._badly)
        app.router.add_post("/slowly", self._slowly)
        app.router.add_post("/hanging", self._hang)
        app.router.add_post("/gone", self._gone)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_SECONDS, handler_cancellation=True)
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(asdict(addresses)) + "\n", encoding="utf-8")
        return addresses

    def let_go(self) -> None:
        """From now on keep nobody waiting: whoever calls wants to stop."""
        self._let_go.set()

    async def stop(self) -> None:
        """Answer nobody any more."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._sockets.close()

    def _bind(self, port: int) -> socket.socket:
        bound = self._sockets.enter_context(socket.socket())
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((HOST, port))
        except OSError as error:
            self._sockets.close()
            raise ConfigurationError(
                f"port {port} of the demonstration's targets cannot be listened on ({error.strerror}): end the "
                f"program that has it, or remove {self._file} and give the demonstration's webhooks other URLs"
            ) from error
        return bound

    async def _well(self, request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"ok": True})

    async def _badly(self, request: web.Request) -> web.Response:
        await request.read()
        chance = self._random.random()
        if chance < _BAD_SHARE / 2:
            return web.Response(status=503, text="maintenance", headers={"Retry-After": "5"})
        if chance < _BAD_SHARE:
            return web.Response(status=500, text="something went wrong")
        return web.json_response({"ok": True})

    async def _gone(self, request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=410, text="moved away for good")

    async def _slowly(self, request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(self._random.uniform(*_SLOW_SECONDS))
        return web.json_response({"ok": True})

    async def _hang(self, request: web.Request) -> web.Response:
        await request.read()
        await self._let_go.wait()
        return web.Response(status=503, text="the demonstration ends")


def _remembered(file: Path) -> Addresses | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return Addresses(int(content["listening"]), int(content["silent"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
