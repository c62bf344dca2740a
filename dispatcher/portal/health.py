"""What operators' systems ask the portal: whether it is alive and ready, its metrics, its OpenAPI document."""

from typing import Any

import orjson
from aiohttp import web

from dispatcher.observability import endpoint
from dispatcher.observability.exposition import Exposition


def add_routes(
    app: web.Application, document: dict[str, Any], unready: endpoint.Unready, exposition: Exposition
) -> None:
    """Serve them."""
    openapi = orjson.dumps(document)

    async def openapi_document(_: web.Request) -> web.Response:
        return web.Response(body=openapi, content_type="application/json")

    endpoint.add_routes(app, unready, exposition)
    app.router.add_get("/api/openapi.json", openapi_document)
