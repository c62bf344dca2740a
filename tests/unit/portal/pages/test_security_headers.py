"""What every answer tells browsers about the way here."""

import aiohttp
import pytest

from tests.support.serving import serving


@pytest.mark.parametrize(
    ("public_url", "told"),
    [("https://webhooks.example", "max-age=31536000"), ("http://webhooks.example", None), (None, None)],
)
async def test_whoever_came_by_https_never_comes_by_http_again(public_url: str | None, told: str | None) -> None:
    async with serving(public_url=public_url) as url, aiohttp.ClientSession() as session:
        for path in ("/static/portal.css", "/nowhere", "/api/v1/nowhere"):
            async with session.get(url + path, headers={"Accept": "text/html"}) as response:
                assert response.headers.get("Strict-Transport-Security") == told, path
