"""Styles and scripts, held in memory; their addresses change with their content, so browsers may keep them."""

import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from aiohttp import hdrs, web

from dispatcher.portal.pages.security_headers import security_headers

ROOT = Path(__file__).parent / "static"
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

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def url(self, name: str) -> str:
        """The address of a file, with its version."""
        file = self._files.get(name)
        return f"/static/{name}?v={file.version}" if file else f"/static/{name}"

    async def serve(self, request: web.Request) -> web.Response:
        """The file in the path."""
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        current = request.query.get("v") == file.version
        headers = {
            **security_headers(),
            hdrs.ETAG: f'"{file.version}"',
            hdrs.CACHE_CONTROL: "public, max-age=31536000, immutable" if current else "no-cache",
        }
        if any(tag.value in {file.version, "*"} for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.content, content_type=file.content_type, charset="utf-8", headers=headers)


def _read() -> Iterator[tuple[str, _File]]:
    for path in sorted(ROOT.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            content_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            yield path.relative_to(ROOT).as_posix(), _File(content, content_type, sha256(content).hexdigest()[:16])
