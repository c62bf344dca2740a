"""Styles and scripts are sent compressed to who takes that; pages are not."""

import gzip
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from dispatcher.portal.pages.static_files import ROOT
from dispatcher.portal.pages.visit import Visit
from dispatcher.portal.pages.wiring import Page
from tests.support.serving import serving

STYLE = (ROOT / "portal.css").read_bytes()


async def page(_: Visit) -> web.Response:
    return web.Response(text="x" * 10_000, content_type="text/html")


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        serving(pages=[Page("/page", get=page, open=True)]) as url,
        aiohttp.ClientSession(url, auto_decompress=False, skip_auto_headers=["Accept-Encoding"]) as client,
    ):
        yield client


@pytest.mark.parametrize("accepted", ["gzip", "br, GZIP;q=0.5", "deflate, gzip ; q=1.0"])
async def test_who_takes_gzip_gets_a_compressed_copy(client: aiohttp.ClientSession, accepted: str) -> None:
    for _ in range(2):
        async with client.get("/static/portal.css", headers={"Accept-Encoding": accepted}) as response:
            content = await response.read()
            assert (response.status, response.headers["Content-Encoding"]) == (200, "gzip")
            assert (response.headers["Vary"], response.content_type) == ("Accept-Encoding", "text/css")
        assert gzip.decompress(content) == STYLE
        assert len(content) < len(STYLE) / 3


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip; q=0.000", "xgzip"])
async def test_who_does_not_gets_it_as_it_is(client: aiohttp.ClientSession, accepted: str) -> None:
    async with client.get("/static/portal.css", headers={"Accept-Encoding": accepted}) as response:
        assert await response.read() == STYLE
        assert "Content-Encoding" not in response.headers
        assert response.headers["Vary"] == "Accept-Encoding"


async def test_each_of_the_two_has_a_tag_of_its_own(client: aiohttp.ClientSession) -> None:
    tags = {}
    for accepted in ("gzip", "identity"):
        async with client.get("/static/portal.css", headers={"Accept-Encoding": accepted}) as response:
            tags[accepted] = response.headers["ETag"]
    assert tags["gzip"] != tags["identity"]
    for accepted in tags:
        for had, tag in tags.items():
            headers = {"Accept-Encoding": accepted, "If-None-Match": tag}
            async with client.get("/static/portal.css", headers=headers) as response:
                assert response.status == (304 if had == accepted else 200)
                assert response.headers["Vary"] == "Accept-Encoding"


async def test_what_is_small_stays_as_it_is_and_so_does_a_page(client: aiohttp.ClientSession) -> None:
    for path in ("/static/icon.svg", "/page"):
        async with client.get(path, headers={"Accept-Encoding": "gzip"}) as response:
            assert (response.status, "Content-Encoding" in response.headers) == (200, False)
