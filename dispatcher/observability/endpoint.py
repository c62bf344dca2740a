"""What operators' systems ask a process: is it alive, is it ready, its metrics."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from dispatcher.errors import ConfigurationError
from dispatcher.observability.exposition import Exposition

_SHUTDOWN_SECONDS = 0.5

LIVE, READY, METRICS = "/health/live", "/health/ready", "/metrics"

Unready = Callable[[], Iterable[str]]
"""Names what does not work at the moment."""


def add_routes(app: web.Application, unready: Unready, exposition: Exposition) -> None:
    """Answer ``/health/live``, ``/health/ready`` and ``/metrics``."""

    async def live(_: web.Request) -> web.Response:
        return _json(200, {"status": "alive"})

    async def ready(_: web.Request) -> web.Response:
        missing = sorted(unready())
        return _json(503, {"status": "not ready", "waiting_for": missing}) if missing else _json(200, _READY)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=await exposition.text(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    app.router.add_get(LIVE, live)
    app.router.add_get(READY, ready)
    app.router.add_get(METRICS, metrics)


class Endpoint:
    """Answers them on an address of its own, for roles that have none; port 0: any free one, see ``url``."""

    def __init__(self, host: str, port: int, unready: Unready) -> None:
        self._host = host
        self._port = port
        app = web.Application()
        add_routes(app, unready, Exposition())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)

    @property
    def url(self) -> str:
        """Where it listens, once it has started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._runner.addresses[0][1]}"

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: the port cannot be had.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigurationError(
                f"DISPATCHER_METRICS_PORT: cannot listen on {self._host}:{self._port} ({error.strerror or error}); "
                "choose another port, or an address of this machine in DISPATCHER_HTTP_HOST"
            ) from error

    async def stop(self) -> None:
        """Listen no more."""
        await self._runner.cleanup()


_READY = {"status": "ready"}


def _json(status: int, content: Mapping[str, Any]) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")
