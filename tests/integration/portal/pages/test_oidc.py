"""Signing in at the organization's identity provider."""

from collections.abc import AsyncIterator

import pytest
from pydantic import AnyHttpUrl, SecretStr

from dispatcher.settings import Settings
from tests.support.oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider, an_oidc_provider
from tests.support.visitor import Visitor


@pytest.fixture
async def provider(unused_tcp_port: int) -> AsyncIterator[OidcProvider]:
    async with an_oidc_provider(f"http://127.0.0.1:{unused_tcp_port}/sign-in/callback") as provider:
        yield provider


@pytest.fixture
def settings(settings: Settings, provider: OidcProvider, unused_tcp_port: int) -> Settings:
    return settings.model_copy(
        update={
            "http_port": unused_tcp_port,
            "public_url": AnyHttpUrl(f"http://127.0.0.1:{unused_tcp_port}"),
            "oidc_issuer": provider.issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": SecretStr(CLIENT_SECRET),
        }
    )


async def test_people_come_back_signed_in_where_they_wanted_to_go(visitor: Visitor) -> None:
    page = await visitor.get(f"{visitor.webhooks}?status=enabled")
    assert "Sign in with your organization's account" in page.text
    assert "Bearer token" not in page.text
    page = await visitor.get("/sign-in/provider?next=" + f"{visitor.webhooks}%3Fstatus=enabled")
    assert (page.status, page.url) == (200, f"{visitor.webhooks}?status=enabled")
    assert "Grace" in page.text


async def test_without_the_role_one_is_told_so(visitor: Visitor, provider: OidcProvider) -> None:
    provider.claims = {"organizations": {"org-contoso": {"name": "Contoso", "role": "reader"}}}
    page = await visitor.get("/sign-in/provider")
    assert page.status == 403
    assert "Only Organization Admins can configure webhooks" in page.text


async def test_who_is_refused_there_is_told_so(visitor: Visitor, provider: OidcProvider) -> None:
    provider.refuses = "access_denied"
    page = await visitor.get("/sign-in/provider")
    assert page.status == 403
    assert "Signing in at your identity provider did not work: it refused" in page.text
    assert (await visitor.get(visitor.webhooks)).url.startswith("/sign-in")


async def test_nobody_is_signed_in_by_an_answer_that_another_browser_asked_for(visitor: Visitor) -> None:
    page = await visitor.get("/sign-in/callback?code=stolen&state=theirs")
    assert page.status == 403
    assert "begun in another browser" in page.text


async def test_tokens_are_for_programs_then(visitor: Visitor) -> None:
    assert (await visitor.sign_in()).status == 403
