"""Sessions end, fit into a browser, and are nobody else's."""

from datetime import UTC, datetime, timedelta
from random import Random
from unittest.mock import AsyncMock

import aiohttp
import pytest
from aiohttp import web
from cryptography.fernet import Fernet

from dispatcher.portal.api.problems import Problem
from dispatcher.portal.auth import Caller, Membership
from dispatcher.portal.ended_sessions import LONGEST_SESSION, EndedSessions
from dispatcher.portal.pages.session import IDLE, Seal, Session, Sessions
from dispatcher.portal.pages.visit import Visit
from dispatcher.portal.pages.wiring import Page
from dispatcher.webhooks.vault import Vault
from tests.support.serving import serving

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


KEY = Fernet.generate_key().decode()


def sessions_with(keys: str, clock: Clock, *, secure: bool = False) -> Sessions:
    ended = EndedSessions(AsyncMock(), "sessions", clock)
    return Sessions(Seal(Vault(keys).derived("portal: sessions")), ended, secure=secure, clock=clock)


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return sessions_with(KEY, clock)


def cookies_of(sessions: Sessions, session: Session) -> dict[str, str]:
    response = web.Response()
    sessions.write(response, {}, session)
    return {name: morsel.value for name, morsel in response.cookies.items()}


def caller(organizations: int = 1) -> Caller:
    names = {
        f"org-{Random(n).getrandbits(64)}": Membership(name=f"Customer {n}", role="organization_admin")
        for n in range(organizations)
    }
    return Caller(sub="ada", organizations=names)


def test_what_is_written_is_read(sessions: Sessions) -> None:
    session = sessions.begin(caller(1_000))
    cookies = cookies_of(sessions, session)
    assert len(cookies) > 2
    assert all(len(value) <= 3_800 for value in cookies.values())
    assert sessions.read(cookies) == session


def test_cookies_are_for_the_server_alone(clock: Clock) -> None:
    sessions = sessions_with(KEY, clock, secure=True)
    response = web.Response()
    sessions.write(response, {}, sessions.begin(caller()))
    [cookie] = response.cookies.values()
    assert cookie.key == "__Host-portal"
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, True, "Lax", "/")
    assert not cookie["domain"]


def test_a_session_that_shrinks_leaves_no_piece_behind(sessions: Sessions) -> None:
    before = cookies_of(sessions, sessions.begin(caller(1_000)))
    response = web.Response()
    sessions.write(response, before, sessions.begin(caller()))
    assert {name for name, morsel in response.cookies.items() if "Max-Age=0" in morsel.OutputString()} == set(
        before
    ) - {"portal"}


def test_it_ends_after_an_idle_hour(sessions: Sessions, clock: Clock) -> None:
    cookies = cookies_of(sessions, sessions.begin(caller()))
    clock.now = NOW + IDLE - timedelta(seconds=1)
    assert sessions.read(cookies) is not None
    clock.now = NOW + IDLE
    assert sessions.read(cookies) is None


def test_it_ends_after_eight_hours_whatever_is_done(sessions: Sessions, clock: Clock) -> None:
    session = sessions.begin(caller())
    while clock.now < NOW + LONGEST_SESSION:
        assert sessions.read(cookies_of(sessions, session)) is not None
        session = sessions.touched(session)
        clock.now += timedelta(minutes=30)
    assert sessions.read(cookies_of(sessions, session)) is None


def test_it_ends_with_the_token_that_began_it(sessions: Sessions, clock: Clock) -> None:
    cookies = cookies_of(sessions, sessions.begin(caller(), until=NOW + timedelta(minutes=5)))
    clock.now = NOW + timedelta(minutes=5)
    assert sessions.read(cookies) is None


async def test_it_ends_when_somebody_signs_out_whoever_has_the_cookie(sessions: Sessions) -> None:
    session, other = sessions.begin(caller()), sessions.begin(caller())
    assert await sessions.end(session)
    assert sessions.read(cookies_of(sessions, session)) is None
    assert sessions.read(cookies_of(sessions, other)) == other


def test_keys_can_be_changed_and_others_open_nothing(clock: Clock, sessions: Sessions) -> None:
    cookies = cookies_of(sessions, sessions.begin(caller()))
    new = Fernet.generate_key().decode()
    assert sessions_with(f"{new},{KEY}", clock).read(cookies) is not None
    assert sessions_with(new, clock).read(cookies) is None


@pytest.mark.parametrize("value", ["", "x", "é", "gAAAA" * 300])
def test_what_is_not_ours_is_no_session(sessions: Sessions, value: str) -> None:
    assert sessions.read({"portal": value}) is None


def test_more_than_a_browser_can_keep_is_refused(sessions: Sessions) -> None:
    with pytest.raises(Problem):
        cookies_of(sessions, sessions.begin(caller(20_000)))


async def test_who_is_in_more_organizations_than_fit_into_a_browser_is_told_so_on_a_page(sessions: Sessions) -> None:
    async def sign_in(visit: Visit) -> web.Response:
        visit.session = sessions.begin(caller(5_000))
        return web.Response(text="signed in")

    async with (
        serving(pages=[Page("/in", get=sign_in, open=True)]) as url,
        aiohttp.ClientSession() as client,
        client.get(f"{url}/in") as response,
    ):
        assert (response.status, response.content_type) == (413, "text/html")
        assert "more organizations than a browser can keep" in await response.text()
        assert not response.cookies
