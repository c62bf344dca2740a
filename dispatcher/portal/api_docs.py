"""The API's OpenAPI document, and the page to read and to try it, with nothing from the internet."""

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import orjson
import structlog
from aiohttp import web

from dispatcher.portal.pages.security_headers import security_headers
from dispatcher.portal.pages.session import Session
from dispatcher.portal.pages.static_files import ROOT
from dispatcher.portal.pages.visit import theme_of

PATH = "/api/docs"
_DOCUMENT_PATH = "/api/openapi.json"

log = structlog.get_logger()

_NEEDED = ("swagger-ui-bundle.js", "swagger-ui.css", "api-docs.js", "api-docs.css")
_BUILT = "/static/built"
_PAGE = """<!doctype html>
<html lang="en" data-theme="{theme}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>API · Portal</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
{token}{head}
</head>
<body>
{body}
</body>
</html>
"""
_HEAD = f"""<link rel="stylesheet" href="{_BUILT}/swagger-ui.css">
<link rel="stylesheet" href="{_BUILT}/api-docs.css">
<script defer src="{_BUILT}/swagger-ui-bundle.js"></script>
<script type="module" src="{_BUILT}/api-docs.js"></script>"""
_DOCUMENT = f'<a href="{_DOCUMENT_PATH}">{_DOCUMENT_PATH}</a>'
_SHOWN = f"""<header class="api-docs-top"><a href="/">← Portal Webhooks</a></header>
<div id="api">
<noscript><p class="api-docs-note">This page needs script; {_DOCUMENT} does not.</p></noscript>
</div>"""
_NOT_BUILT = f"""<main>
<p>The frontend is not built: run <code>make environment</code>. Until then: {_DOCUMENT}</p>
</main>"""


def add_routes(
    app: web.Application,
    openapi: dict[str, Any],
    session_of: Callable[[Mapping[str, str]], Session | None],
    static: Path = ROOT,
) -> None:
    """Serve both; without what the frontend's build puts into ``static/built``, the page says how to build.

    ``session_of`` tells from cookies who is signed in: they try the API as themselves.
    """
    built = static / "built"
    missing = any(not (built / name).is_file() for name in _NEEDED)
    if missing:
        log.warning("the frontend is not built: pages lack their editor, plots and live table; run make environment")
    encoded = orjson.dumps(openapi)
    head, body = ("", _NOT_BUILT) if missing else (_HEAD, _SHOWN)

    async def document(_: web.Request) -> web.Response:
        return web.Response(body=encoded, content_type="application/json")

    async def docs(request: web.Request) -> web.Response:
        session = session_of(request.cookies)
        token = "" if session is None else f'<meta name="csrf-token" content="{escape(session.csrf)}">\n'
        page = _PAGE.format(theme=theme_of(request), token=token, head=head, body=body)
        return web.Response(text=page, content_type="text/html", headers=security_headers())

    app.router.add_get(_DOCUMENT_PATH, document)
    app.router.add_get(PATH, docs)
