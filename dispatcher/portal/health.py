"""What operators' systems ask: is it alive, is it ready, its metrics, its OpenAPI document."""

from collections.abc import Callable, Iterable
from typing import Any

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


def add_routes(app: web.Application, document: dict[str, Any], unready: Callable[[], Iterable[str]]) -> None:
    """Serve them; ``unready`` names what does not work at the moment."""
    openapi = orjson.dumps(document)

    async def live(_: web.Request) -> web.Response:
        return _status(200, {"status": "alive"})

    async def ready(_: web.Request) -> web.Response:
        missing = sorted(unready())
        return _status(503, {"status": "not ready", "waiting_for": missing}) if missing else _status(200, _READY)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def openapi_document(_: web.Request) -> web.Response:
        return web.Response(body=openapi, content_type="application/json")

    app.router.add_get("/health/live", live)
    app.router.add_get("/health/ready", ready)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/api/openapi.json", openapi_document)


_READY = {"status": "ready"}


def _status(status: int, content: dict[str, Any]) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")
