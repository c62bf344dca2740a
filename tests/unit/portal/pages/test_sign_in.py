"""Signing in at a provider in several tabs at once, and after it failed; with a token; and where one goes on to."""

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from html import unescape
from typing import Any, cast
from unittest.mock import AsyncMock
from urllib.parse import urlsplit

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography.fernet import Fernet
from pydantic import SecretStr
from yarl import URL

from dispatcher.portal.api.problems import Problem
from dispatcher.portal.auth import Authentication, Caller, SharedSecret
from dispatcher.portal.ended_sessions import EndedSessions
from dispatcher.portal.pages import home
from dispatcher.portal.pages.home import local
from dispatcher.portal.pages.oidc import LONGEST_SIGN_IN, Provider
from dispatcher.portal.pages.session import Seal, Sessions
from dispatcher.portal.pages.sign_in import MOST_AT_ONCE, SignIn
from dispatcher.portal.pages.visit import Visit
from dispatcher.portal.pages.wiring import Page, Site
from dispatcher.webhooks.vault import Vault
from tests.support.oidc_provider import CLIENT_ID, OURS, Clock, OidcProvider
from tests.support.serving import CALLER, serving


class Browser:
    """With tabs; each is sent to the provider, and comes back with what that says."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client

    async def begin(self, onward: str) -> str:
        """Where a tab comes back to."""
        async with self._client.get("/sign-in/provider", params={"next": onward}, allow_redirects=False) as response:
            assert response.status == 303, await response.text()
            provider = URL(response.headers["Location"], encoded=True)
        async with self._client.get(provider, allow_redirects=False) as response:
            back = urlsplit(response.headers["Location"])
        return f"{back.path}?{back.query}"

    async def come_back(self, where: str) -> tuple[int, str]:
        """The status, and where the tab goes on to, or the page."""
        async with self._client.get(URL(where, encoded=True), allow_redirects=False) as response:
            return response.status, response.headers.get("Location") or await response.text()

    async def sign_out(self) -> tuple[int, str]:
        """As ``come_back``."""
        async with self._client.post("/sign-out", allow_redirects=False) as response:
            return response.status, response.headers.get("Location") or await response.text()

    async def asked_with(self) -> Mapping[str, str]:
        """What the provider is asked when a tab begins to sign in."""
        async with self._client.get("/sign-in/provider", allow_redirects=False) as response:
            return URL(response.headers["Location"], encoded=True).query

    @property
    def kept(self) -> int:
        return len([cookie for cookie in self._client.cookie_jar if "sign-in" in cookie.key])


def sessions_of(clock: Clock) -> Sessions:
    seal = Seal(Vault(Fernet.generate_key().decode()).derived("portal: sessions"))
    return Sessions(seal, EndedSessions(AsyncMock(), "sessions", clock), secure=False, clock=clock)


@asynccontextmanager
async def a_client(
    pages: SignIn, *, public_url: str | None = None, without_secret: bool = False
) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        serving(pages=pages.pages(), public_url=public_url, without_secret=without_secret) as url,
        aiohttp.ClientSession(base_url=url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as client,
    ):
        yield client


@pytest.fixture
async def browser(provider: Provider, clock: Clock) -> AsyncIterator[Browser]:
    async with a_client(SignIn(sessions_of(clock), cast("Any", None), (), provider)) as client:
        yield Browser(client)


async def test_each_tab_comes_back_to_where_it_was_going(browser: Browser) -> None:
    first, second = await browser.begin("/one"), await browser.begin("/two")
    assert browser.kept == 2
    assert await browser.come_back(first) == (303, "/one")
    assert await browser.come_back(second) == (303, "/two")
    assert browser.kept == 0


async def test_of_many_that_were_begun_the_latest_are_kept(browser: Browser, clock: Clock) -> None:
    begun = []
    for number in range(MOST_AT_ONCE + 2):
        clock.now += timedelta(seconds=1)
        begun.append(await browser.begin(f"/{number}"))
    assert browser.kept == MOST_AT_ONCE
    for number, where in enumerate(begun):
        status, onward = await browser.come_back(where)
        assert (status, onward) == (303, f"/{number}") if number >= 2 else status == 403


@pytest.mark.parametrize("why", ["refused", "too late"])
async def test_a_failure_keeps_where_one_was_going(
    browser: Browser, there: OidcProvider, clock: Clock, why: str
) -> None:
    there.refuses = "access_denied" if why == "refused" else None
    where = await browser.begin("/organizations/org-contoso/webhooks?status=enabled")
    if why == "too late":
        clock.now += LONGEST_SIGN_IN + timedelta(seconds=1)
    status, page = await browser.come_back(where)
    assert status == 403
    assert "/sign-in/provider?next=/organizations/org-contoso/webhooks%3Fstatus%3Denabled" in page


async def test_so_does_a_provider_that_is_away(browser: Browser, there: OidcProvider) -> None:
    there.issuer = "https://another.example"
    status, page = await browser.come_back("/sign-in/provider?next=/one")
    assert status == 403
    assert "/sign-in/provider?next=/one" in page


async def test_who_signs_out_goes_on_to_the_provider_and_is_asked_again_who_they_are(
    browser: Browser, there: OidcProvider
) -> None:
    there.end_session_endpoint = f"{there.issuer}/logout?realm=a&b"
    assert "prompt" not in await browser.asked_with()
    status, page = await browser.sign_out()
    assert status == 200
    [onward] = set(re.findall(r'(?:url=|href=")(http[^"]+)"', page))
    assert URL(unescape(onward)).with_query(None) == URL(f"{there.issuer}/logout")
    assert dict(URL(unescape(onward)).query) == {
        "realm": "a",
        "b": "",
        "client_id": CLIENT_ID,
        "post_logout_redirect_uri": f"{OURS}/sign-in",
    }
    assert (await browser.asked_with())["prompt"] == "login"
    assert await browser.come_back(await browser.begin("/one")) == (303, "/one")
    assert "prompt" not in await browser.asked_with()


@pytest.mark.parametrize("away", [False, True])
async def test_where_the_provider_has_no_sign_out_one_is_asked_again_too(
    browser: Browser, there: OidcProvider, away: bool
) -> None:
    ours, there.issuer = there.issuer, "https://another.example" if away else there.issuer
    assert await browser.sign_out() == (303, "/sign-in")
    there.issuer = ours
    assert (await browser.asked_with())["prompt"] == "login"


@pytest.mark.parametrize("url", ["//[", "//[::g]/", "https://evil.example/", "//evil.example", "/\\evil.example", "x"])
def test_what_leads_elsewhere_or_nowhere_leads_home(url: str) -> None:
    assert local(url) == "/"


@pytest.mark.parametrize("exp", [10**12, 10**18, 10**30, "1000000000000"])
async def test_a_token_may_end_later_than_any_date(clock: Clock, exp: int | str) -> None:
    secret = SecretStr("a secret of at least 32 bytes, which nobody knows")
    claims: dict[str, Any] = {"sub": "u-1", "exp": exp, "organizations": {}}
    token = jwt.encode(claims, secret.get_secret_value(), algorithm="HS256")
    pages = SignIn(sessions_of(clock), Authentication(SharedSecret(secret)), (), None)
    async with (
        a_client(pages) as client,
        client.post("/sign-in", data={"token": token}, allow_redirects=False) as response,
    ):
        assert (response.status, "portal" in response.cookies) == (303, True)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 303),
        ("192.0.2.7", 303),
        ("[::1]:8080", 303),
        ("[::1]", 303),
        ("localhost:8080", 303),
        ("LocalHost.", 303),
        ("portal.example", 303),
        ("Portal.Example:443", 303),
        ("evil.example", 403),
        ("evil.example:8080", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("www.portal.example", 403),
    ],
)
async def test_no_other_site_s_name_signs_anybody_in_where_a_click_does(clock: Clock, host: str, status: int) -> None:
    pages = SignIn(sessions_of(clock), cast("Any", None), (CALLER,), None)
    async with a_client(pages, public_url="http://portal.example/", without_secret=True) as client:
        headers = {"Host": host, "Sec-Fetch-Site": "same-origin"}
        form = {"person": CALLER.id}
        async with client.post("/sign-in", data=form, headers=headers, allow_redirects=False) as response:
            assert (response.status, "portal" in response.cookies) == (status, status == 303)
        client.cookie_jar.clear()
        async with client.get("/sign-in", headers={"Host": host}, allow_redirects=False) as response:
            assert response.status == (200 if status == 303 else 403)
            told = "is not an address of this portal. Open it by an IP address or as localhost" in await response.text()
            assert told == (status == 403)


async def test_where_people_sign_in_with_a_secret_any_name_does(clock: Clock) -> None:
    pages = SignIn(sessions_of(clock), cast("Any", None), (), None)
    async with a_client(pages) as client, client.get("/sign-in", headers={"Host": "portal.internal"}) as response:
        assert response.status == 200


EVE = Caller(sub="u-2", name="Eve", organizations=CALLER.organizations)


async def who(visit: Visit) -> web.Response:
    return web.Response(text=visit.caller.id)


async def csrf_token(visit: Visit) -> web.Response:
    assert visit.session is not None
    return web.Response(text=visit.session.csrf)


async def too_much(visit: Visit) -> web.Response:
    raise Problem(429, "Too many requests; try again in 2 s.")


@pytest.fixture
async def signed_in() -> AsyncIterator[aiohttp.ClientSession]:
    """The browser of Ada, who signed in."""

    def pages(site: Site) -> Iterable[Page]:
        yield from SignIn(site.sessions, cast("Any", None), (CALLER, EVE), None).pages()
        yield from home.pages(secure=False)
        yield Page("/who", get=who, post=who)
        yield Page("/token", get=csrf_token)
        yield Page("/form", get=who, post=too_much, draft=True)

    async with (
        serving(pages=pages) as url,
        aiohttp.ClientSession(base_url=url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as client,
    ):
        await sign_in(client, CALLER)
        yield client


async def sign_in(client: aiohttp.ClientSession, person: Caller, **headers: str) -> int:
    form = {"person": person.id, "next": "/who"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.post("/sign-in", data=form, headers=named, allow_redirects=False) as response:
        return response.status


async def asked(client: aiohttp.ClientSession, path: str) -> tuple[int, str]:
    """The status, and where one is led to, or what is said."""
    async with client.get(path, allow_redirects=False) as response:
        return response.status, response.headers.get("Location") or await response.text()


async def test_a_tab_that_showed_the_ways_to_sign_in_before_another_did_signs_in_too(
    signed_in: aiohttp.ClientSession,
) -> None:
    before = {cookie.key: cookie.value for cookie in signed_in.cookie_jar}
    assert await sign_in(signed_in, EVE) == 303
    assert await asked(signed_in, "/who") == (200, "u-2")
    # Nobody goes on in the session before with a copy of its cookie.
    signed_in.cookie_jar.clear()
    signed_in.cookie_jar.update_cookies(before)
    assert await asked(signed_in, "/who") == (303, "/sign-in?next=%2Fwho")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_another_site_puts_nobody_else_into_the_place_of_who_signed_in(
    signed_in: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    assert await sign_in(signed_in, EVE, **headers) == 403
    async with signed_in.post("/preferences", data={"theme": "dark"}, headers={"Sec-Fetch-Site": "cross-site"}) as one:
        assert (one.status, "theme" in one.cookies) == (403, False)
    assert await asked(signed_in, "/who") == (200, "u-1")


async def test_who_has_signed_in_goes_on_from_the_ways_to_sign_in(signed_in: aiohttp.ClientSession) -> None:
    assert await asked(signed_in, "/sign-in?next=/who") == (303, "/who")
    assert await asked(signed_in, "/sign-in") == (303, "/")
    assert await asked(signed_in, "/sign-in?next=//evil.example") == (303, "/")


async def test_a_page_of_the_time_before_chooses_language_and_theme(signed_in: aiohttp.ClientSession) -> None:
    form = {"theme": "dark", "language": "es", "next": "/who"}
    async with signed_in.post("/preferences", data=form, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/who")
        assert (response.cookies["theme"].value, response.cookies["language"].value) == ("dark", "es")


async def test_an_answer_that_was_under_way_does_not_bring_the_session_before_back(clock: Clock) -> None:
    def pages(site: Site) -> Iterable[Page]:
        async def slow(visit: Visit) -> web.Response:
            assert visit.session is not None
            await site.sessions.end(visit.session)
            visit.flash("success", "The webhook is saved.")
            return web.Response()

        yield from SignIn(site.sessions, cast("Any", None), (CALLER,), None).pages()
        yield Page("/slow", get=slow)

    async with (
        serving(pages=pages) as url,
        aiohttp.ClientSession(base_url=url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as client,
    ):
        await sign_in(client, CALLER)
        async with client.get("/slow") as response:
            assert (response.status, "portal" in response.cookies) == (200, False)


@pytest.mark.parametrize("path", ["/form", "/who"])
async def test_what_was_typed_stays_whatever_is_sent_in_another_session(
    signed_in: aiohttp.ClientSession, path: str
) -> None:
    async with signed_in.post(path, data={"csrf": "another session's"}) as response:
        page = await response.text()
    assert (response.status, "data-keeps-draft" in page) == (403, True)
    assert ("Open the form again" in page) == (path == "/form")


async def test_who_may_save_in_a_while_is_led_back_to_the_form_and_not_to_where_what_was_typed_is_dropped(
    signed_in: aiohttp.ClientSession,
) -> None:
    async with signed_in.get("/token") as response:
        token = await response.text()
    async with signed_in.post("/form", data={"csrf": token}) as response:
        page = await response.text()
    assert (response.status, "data-keeps-draft" in page) == (429, True)
    assert 'href="/form">Open the form again</a>' in page
    assert "what you typed there comes back" in page
    assert "Go to your webhooks" not in page
