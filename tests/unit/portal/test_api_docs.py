from collections.abc import Mapping
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from dispatcher.portal import api_docs
from dispatcher.portal.pages.session import Session
from tests.support.visits import SESSION


def session_of(cookies: Mapping[str, str]) -> Session | None:
    return SESSION if "portal" in cookies else None


async def page(static: Path, **cookies: str) -> tuple[str, str]:
    app = web.Application()
    api_docs.add_routes(app, {"openapi": "3.1.0"}, session_of, static)
    async with TestClient(TestServer(app), cookies=cookies) as client, client.get("/api/docs") as response:
        assert response.status == 200
        return await response.text(), response.headers["Content-Security-Policy"]


async def test_the_page_takes_everything_from_the_portal_itself(tmp_path: Path) -> None:
    (tmp_path / "built").mkdir()
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "api-docs.js", "api-docs.css"):
        (tmp_path / "built" / name).touch()
    text, policy = await page(tmp_path)
    assert "/static/built/swagger-ui-bundle.js" in text
    assert "://" not in text
    assert "unsafe" not in policy


async def test_the_page_has_the_theme_that_somebody_chose(tmp_path: Path) -> None:
    for chosen, shown in (("dark", "dark"), ("light", "light"), ('"><script>', "system")):
        text, _ = await page(tmp_path, theme=chosen)
        assert f'<html lang="en" data-theme="{shown}">' in text


async def test_who_is_signed_in_can_try_what_changes_something(tmp_path: Path) -> None:
    meta = '<meta name="csrf-token" content="the token">'
    text, _ = await page(tmp_path, portal="sealed")
    assert meta in text
    text, _ = await page(tmp_path)
    assert "csrf" not in text


async def test_without_the_build_the_page_says_how_to_build(tmp_path: Path) -> None:
    text, _ = await page(tmp_path)
    assert "make environment" in text
    assert "<script" not in text


async def test_the_document_is_served_beside_it(tmp_path: Path) -> None:
    app = web.Application()
    api_docs.add_routes(app, {"openapi": "3.1.0"}, session_of, tmp_path)
    async with TestClient(TestServer(app)) as client, client.get("/api/openapi.json") as response:
        assert (response.status, response.content_type) == (200, "application/json")
        assert await response.json() == {"openapi": "3.1.0"}
