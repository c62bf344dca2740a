"""Styles and scripts, held in memory; their addresses change with their content, so browsers may keep them.

They are sent compressed, and the pages are not: these repeat what somebody chose beside the session's token, which the
length of both together, compressed, would tell (BREACH).
"""

import asyncio
import gzip
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from aiohttp import hdrs, web

from dispatcher.portal.api.concurrency import is_had
from dispatcher.portal.pages.security_headers import security_headers

ROOT = Path(__file__).parent / "static"
_NOT_WORTH_IT = 1024
_COMPRESSIBLE = ("text/", "image/svg", "application/json", "application/javascript")
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    content_type: str
    version: str


class StaticFiles:
    """Everything under ``static``, as it was when the portal started; ``static/built`` may be missing."""

    def __init__(self) -> None:
        self._files = dict(_read())
        self._gzipped: dict[str, asyncio.Task[bytes]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def url(self, name: str) -> str:
        """The address of a file, with its version."""
        file = self._files.get(name)
        return f"/static/{name}?v={file.version}" if file else f"/static/{name}"

    async def serve(self, request: web.Request) -> web.Response:
        """The file in the path."""
        name = request.match_info["name"]
        file = self._files.get(name)
        if file is None:
            raise web.HTTPNotFound
        gzipped = await self._gzipped_copy(name, file) if _takes_gzip(request) else None
        # Another tag for another answer, as RFC 9110 has it.
        tag = file.version if gzipped is None else f"{file.version}-gzip"
        current = request.query.get("v") == file.version
        headers = {
            **security_headers(),
            hdrs.ETAG: f'"{tag}"',
            hdrs.VARY: hdrs.ACCEPT_ENCODING,
            hdrs.CACHE_CONTROL: "public, max-age=31536000, immutable" if current else "no-cache",
        }
        if is_had(request, tag):
            return web.Response(status=304, headers=headers)
        if gzipped is not None:
            headers[hdrs.CONTENT_ENCODING] = "gzip"
        body = file.content if gzipped is None else gzipped
        return web.Response(body=body, content_type=file.content_type, charset="utf-8", headers=headers)

    async def _gzipped_copy(self, name: str, file: _File) -> bytes | None:
        """The file, compressed when it is first asked for so, beside the event loop; None: that is not worth it."""
        if len(file.content) < _NOT_WORTH_IT or not file.content_type.startswith(_COMPRESSIBLE):
            return None
        if name not in self._gzipped:
            self._gzipped[name] = asyncio.create_task(asyncio.to_thread(gzip.compress, file.content, mtime=0))
        # Whoever asked first may have left, and others wait for it too.
        return await asyncio.shield(self._gzipped[name])


def _takes_gzip(request: web.Request) -> bool:
    for coding in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "").rstrip("0.") != "q="
    return False


def _read() -> Iterator[tuple[str, _File]]:
    for path in sorted(ROOT.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            content_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            yield path.relative_to(ROOT).as_posix(), _File(content, content_type, sha256(content).hexdigest()[:16])
