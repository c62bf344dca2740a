"""Somebody who visits the portal's pages, without a browser."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape

import aiohttp

from dispatcher.portal.app import Portal
from dispatcher.settings import Settings
from tests.support.portal import ORGANIZATION, a_token

_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


@dataclass(frozen=True)
class Shown:
    """A page."""

    status: int
    url: str
    html: str
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        """What is to be read, without markup."""
        return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", self.html)))

    @property
    def csrf(self) -> str:
        found = _CSRF.search(self.html)
        assert found is not None, self.html
        return found[1]


@dataclass
class Visitor:
    """Keeps cookies and follows redirects, as a browser does."""

    session: aiohttp.ClientSession
    settings: Settings
    headers: dict[str, str] = field(default_factory=lambda: {"Accept-Language": "en"})

    async def get(self, path: str, **headers: str) -> Shown:
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, fields: dict[str, str] | list[tuple[str, str]], **headers: str) -> Shown:
        return await self._ask("POST", path, fields, headers)

    async def _ask(
        self, method: str, path: str, fields: dict[str, str] | list[tuple[str, str]] | None, headers: dict[str, str]
    ) -> Shown:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, path, data=fields, headers={**self.headers, **named}) as response:
            return Shown(response.status, response.url.path_qs, await response.text(), response.headers.copy())

    async def sign_in(self, **claims: object) -> Shown:
        """As an admin of two organizations, but for what is given."""
        return await self.post("/sign-in", {"token": a_token(self.settings, **claims)})

    @property
    def cookies(self) -> dict[str, str]:
        return {cookie.key: cookie.value for cookie in self.session.cookie_jar}

    @property
    def webhooks(self) -> str:
        return f"/organizations/{ORGANIZATION}/webhooks"


@asynccontextmanager
async def a_visitor(portal: Portal, settings: Settings) -> AsyncIterator[Visitor]:
    # Cookies of an address that is a number are otherwise not kept.
    async with aiohttp.ClientSession(base_url=portal.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Visitor(session, settings)
