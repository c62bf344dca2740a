"""Signing in and out, who is let in, and what protects a session."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from dispatcher.errors import ConfigurationError
from dispatcher.kafka import compacted
from dispatcher.kafka.administration import apply, read_cluster
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.plan import plan
from dispatcher.kafka.topics import Topics
from dispatcher.portal import ended_sessions
from dispatcher.portal.api import attempts
from tests.support.kafka import consume_all
from tests.support.portal import ORGANIZATION, OTHER_ORGANIZATION, Api, NewPortal, a_token
from tests.support.visitor import Visitor, a_visitor
from tests.support.waiting import eventually


async def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(visitor: Visitor) -> None:
    page = await visitor.get(f"{visitor.webhooks}?status=enabled")
    assert page.url.startswith("/sign-in?next=")
    assert "Sign in to Portal" in page.text
    token = a_token(visitor.settings)
    page = await visitor.post("/sign-in", {"token": token, "next": f"{visitor.webhooks}?status=enabled"})
    assert (page.status, page.url) == (200, f"{visitor.webhooks}?status=enabled")


async def test_a_token_that_is_not_valid_is_refused_with_the_reason(visitor: Visitor) -> None:
    page = await visitor.sign_in(exp=datetime.now(UTC) - timedelta(minutes=1))
    assert page.status == 401
    assert "The token has expired" in page.text


async def test_the_first_page_is_the_overview_of_one_of_the_organizations(visitor: Visitor) -> None:
    page = await visitor.sign_in()
    assert page.url == visitor.webhooks
    assert f"/organizations/{OTHER_ORGANIZATION}/webhooks" in page.html
    assert "/organizations/org-reader/" not in page.html


async def test_without_the_role_one_is_told_that_only_organization_admins_configure_webhooks(visitor: Visitor) -> None:
    page = await visitor.sign_in(organizations={"org-reader": {"name": "Reader", "role": "reader"}})
    assert page.status == 403
    assert "Only Organization Admins can configure webhooks" in page.text


async def test_another_organization_is_closed_and_ones_own_are_named(visitor: Visitor) -> None:
    await visitor.sign_in()
    page = await visitor.get("/organizations/org-elsewhere/webhooks")
    assert page.status == 403
    assert "Contoso" in page.text


async def test_after_signing_out_the_cookie_is_worth_nothing(visitor: Visitor) -> None:
    page = await visitor.sign_in()
    kept = visitor.cookies
    await visitor.post("/sign-out", {"csrf": page.csrf})
    assert not visitor.cookies
    assert await is_refused(visitor)
    visitor.session.cookie_jar.update_cookies(kept)
    assert await is_refused(visitor)


async def test_a_copied_cookie_is_worth_nothing_at_other_portals_and_at_those_that_start_later(
    visitor: Visitor, new_portal: NewPortal, clients: KafkaClients, topics: Topics
) -> None:
    page = await visitor.sign_in()
    copied = visitor.cookies
    async with new_portal() as other, a_visitor(other, visitor.settings) as thief:
        thief.session.cookie_jar.update_cookies(copied)
        assert (await thief.get(thief.webhooks)).url == thief.webhooks
        assert (await visitor.post("/sign-out", {"csrf": page.csrf})).url == "/sign-in"
        (end,) = await consume_all(clients, topics.sessions)
        await eventually(lambda: is_refused(thief))
        async with thief.session.get(f"/api/v1/organizations/{ORGANIZATION}/webhooks") as response:
            assert response.status == 401
        # It is the session that is refused, not the person.
        assert (await thief.sign_in()).url == thief.webhooks
    assert end.key.decode() in end.value.decode()
    assert "user-1" not in end.value.decode()

    async with new_portal() as later, a_visitor(later, visitor.settings) as thief:
        thief.session.cookie_jar.update_cookies(copied)
        assert await is_refused(thief)


async def test_a_stream_that_is_open_ends_with_the_session(
    visitor: Visitor, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "_HEARTBEAT_SECONDS", 0.2)
    page = await visitor.sign_in()
    webhook = (await api.create())["id"]
    stream = f"/api/v1/organizations/{ORGANIZATION}/webhooks/{webhook}/attempts/stream"
    async with visitor.session.get(stream) as response:
        assert await response.content.readuntil(b": still here\n\n")
        await visitor.post("/sign-out", {"csrf": page.csrf})
        async with asyncio.timeout(10):
            while await response.content.readany():
                pass


async def test_who_signs_out_while_kafka_takes_nothing_is_signed_out_here_and_told_what_is_open(
    visitor: Visitor, new_portal: NewPortal, clients: KafkaClients, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_sessions, "PATIENCE_SECONDS", 0.2)
    page = await visitor.sign_in()
    copied = visitor.cookies
    async with without(topics.sessions, clients, topics):
        page = await visitor.post("/sign-out", {"csrf": page.csrf})
        assert (page.status, page.url) == (503, "/sign-out")
        assert "You are signed out in this browser." in page.text
        assert "could not be told yet" in page.text
        assert not visitor.cookies
        visitor.session.cookie_jar.update_cookies(copied)
        assert await is_refused(visitor)
    await eventually(lambda: consume_all(clients, topics.sessions), timeout=30)
    async with new_portal() as later, a_visitor(later, visitor.settings) as thief:
        thief.session.cookie_jar.update_cookies(copied)
        assert await is_refused(thief)


async def test_an_upgraded_portal_whose_topic_is_missing_says_what_to_run(
    new_portal: NewPortal, clients: KafkaClients, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compacted, "_PATIENCE_SECONDS", 0.2)
    said = f"{topics.sessions} does not exist; run `dispatcher topics apply`"
    async with without(topics.sessions, clients, topics):
        with pytest.raises(ConfigurationError, match=re.escape(said)):
            await new_portal().__aenter__()
    async with new_portal():
        pass


async def is_refused(visitor: Visitor) -> bool:
    return (await visitor.get(visitor.webhooks)).url.startswith("/sign-in")


@asynccontextmanager
async def without(topic: str, clients: KafkaClients, topics: Topics) -> AsyncIterator[None]:
    """The cluster has no such topic for a while."""

    async def present() -> bool:
        return topic in (await read_cluster(clients, topics)).topics

    async def absent() -> bool:
        return not await present()

    admin = clients.admin()
    await admin.start()
    try:
        await admin.delete_topics([topic], timeout_ms=20_000)
        await eventually(absent)
        yield
        await apply(clients, plan(topics, await read_cluster(clients, topics)))
        await eventually(present)
    finally:
        await admin.close()


@pytest.mark.parametrize(
    "headers",
    [{"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}, {"Origin": "https://evil.example"}],
)
async def test_another_site_cannot_sign_anybody_in(visitor: Visitor, headers: dict[str, str]) -> None:
    page = await visitor.post("/sign-in", {"token": a_token(visitor.settings)}, **headers)
    assert page.status == 403
    assert not list(visitor.session.cookie_jar)


async def test_a_form_without_the_session_s_token_changes_nothing(visitor: Visitor) -> None:
    await visitor.sign_in()
    page = await visitor.post("/sign-out", {"csrf": "guessed"})
    assert page.status == 403
    assert (await visitor.get(visitor.webhooks)).status == 200


@pytest.mark.parametrize("next_", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"])
async def test_nobody_is_led_elsewhere(visitor: Visitor, next_: str) -> None:
    page = await visitor.post("/sign-in", {"token": a_token(visitor.settings), "next": next_})
    assert page.url == visitor.webhooks


async def test_the_api_takes_the_cookie_and_for_changes_the_token_too(visitor: Visitor) -> None:
    page = await visitor.sign_in()
    url = f"/api/v1/organizations/{ORGANIZATION}/webhooks"
    async with visitor.session.get(url) as response:
        assert response.status == 200
    async with visitor.session.post(url, json={}) as response:
        assert response.status == 403
    async with visitor.session.post(url, json={}, headers={"X-CSRF-Token": page.csrf}) as response:
        assert response.status == 422
    headers = {"X-CSRF-Token": page.csrf, "Sec-Fetch-Site": "cross-site"}
    async with visitor.session.post(url, json={}, headers=headers) as response:
        assert response.status == 403


async def test_a_provider_s_organizations_do_not_have_to_fit_into_one_cookie(visitor: Visitor) -> None:
    many = {
        f"org-{n:04}-{Random(n).getrandbits(64)}": {"name": f"Customer {n}", "role": "organization_admin"}
        for n in range(300)
    }
    page = await visitor.sign_in(organizations=many)
    assert page.status == 200
    assert "Customer 299" in page.text
    assert len(list(visitor.session.cookie_jar)) > 1


async def test_pages_allow_no_foreign_script_and_no_frame(visitor: Visitor) -> None:
    page = await visitor.sign_in()
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["Cache-Control"] == "no-store"
    assert "<script>" not in page.html
    assert "style=" not in page.html


async def test_what_there_is_not_is_told_by_a_page_and_by_the_api_as_ever(visitor: Visitor) -> None:
    page = await visitor.get("/nowhere", Accept="text/html,*/*;q=0.8")
    assert (page.status, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    page = await visitor.get("/api/v1/nowhere", Accept="text/html,*/*;q=0.8")
    assert (page.status, page.headers["Content-Type"]) == (404, "application/problem+json")


async def test_language_and_theme_are_kept(visitor: Visitor) -> None:
    page = await visitor.get("/sign-in", Accept_Language="fr, es;q=0.8, en;q=0.5")
    assert '<html lang="es"' in page.html
    # What a link leads to may be in another language.
    link = page.html.split('href="/api/docs"')[1].split("</a>")[0]
    assert ('hreflang="en"' in link, "(en inglés)" in link) == (True, True)
    page = await visitor.post("/preferences", {"language": "en", "theme": "dark", "next": "/sign-in"})
    assert (page.url, '<html lang="en" data-theme="dark">' in page.html) == ("/sign-in", True)


async def test_static_files_are_kept_by_browsers_until_they_change(visitor: Visitor) -> None:
    page = await visitor.get("/sign-in")
    url = page.html.split('rel="stylesheet" href="')[1].split('"')[0]
    async with visitor.session.get(url) as response:
        assert response.status == 200
        assert "immutable" in response.headers["Cache-Control"]
        tag = response.headers["ETag"]
    async with visitor.session.get(url.split("?")[0], headers={"If-None-Match": tag}) as response:
        assert (response.status, response.headers["Cache-Control"]) == (304, "no-cache")
