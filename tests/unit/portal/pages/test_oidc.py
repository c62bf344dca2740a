"""Whom a provider's answer lets in, and whom it does not."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from time import monotonic

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr
from yarl import URL

from dispatcher.portal.pages.oidc import LONGEST_SIGN_IN, Begun, Provider, ProviderFailed
from tests.support.oidc_provider import CLIENT_ID, OURS, Clock, OidcProvider


async def gone_there(provider: Provider) -> tuple[Begun, Mapping[str, str]]:
    """A sign-in, and what the provider sends the browser back with."""
    url, begun = await provider.begin("/")
    async with (
        aiohttp.ClientSession() as browser,
        browser.get(URL(url, encoded=True), allow_redirects=False) as response,
    ):
        assert response.status == 302, await response.text()
        return begun, URL(response.headers["Location"]).query


async def test_whom_the_provider_names_comes_in(provider: Provider) -> None:
    caller = await provider.finish(*await gone_there(provider))
    assert (caller.id, caller.name) == ("user-7", "Grace")
    assert caller.organizations["org-contoso"].role == "organization_admin"


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"aud": "another"},
        {"aud": [CLIENT_ID, "another"]},
        {"azp": "another"},
        {"iss": "https://another.example"},
        {"exp": datetime(2026, 1, 1, tzinfo=UTC)},
        {"sub": ""},
        {"organizations": "all"},
    ],
    ids=str,
)
async def test_an_id_token_that_is_not_for_this_sign_in_lets_nobody_in(
    provider: Provider, there: OidcProvider, claims: dict[str, object]
) -> None:
    there.claims = claims
    await nobody_comes_in(provider, *await gone_there(provider), "what it answered cannot be trusted")


async def test_nor_does_one_that_somebody_else_signed(provider: Provider, there: OidcProvider) -> None:
    there.signs_with = ec.generate_private_key(ec.SECP256R1())
    await nobody_comes_in(provider, *await gone_there(provider), "what it answered cannot be trusted")


async def test_a_code_is_of_use_once_and_to_whom_it_was_given(provider: Provider) -> None:
    begun, answer = await gone_there(provider)
    other = begun.model_copy(update={"verifier": "x" * 64})
    await nobody_comes_in(provider, other, answer, "it refused")
    await nobody_comes_in(provider, begun, answer, "it refused")


async def test_an_answer_belongs_to_the_browser_that_asked(provider: Provider, clock: Clock) -> None:
    begun, answer = await gone_there(provider)
    reason = "the sign-in took too long, or was begun in another browser"
    await nobody_comes_in(provider, None, answer, reason)
    await nobody_comes_in(provider, begun, {**answer, "state": "another"}, reason)
    clock.now += LONGEST_SIGN_IN + timedelta(seconds=1)
    await nobody_comes_in(provider, begun, answer, reason)


async def test_a_provider_that_names_another_issuer_is_not_trusted(provider: Provider, there: OidcProvider) -> None:
    there.issuer = "https://another.example"
    with pytest.raises(ProviderFailed, match="another"):
        await provider.begin("/")


async def test_a_provider_that_is_away_says_so_and_is_asked_again(clock: Clock, unused_tcp_port: int) -> None:
    away = Provider(
        f"http://127.0.0.1:{unused_tcp_port}", CLIENT_ID, SecretStr("s"), OURS, clock=clock, monotonic=monotonic
    )
    for _ in range(2):
        with pytest.raises(ProviderFailed) as failed:
            await away.begin("/")
        assert failed.value.reason == "it does not answer"


async def nobody_comes_in(provider: Provider, begun: Begun | None, answer: Mapping[str, str], reason: str) -> None:
    with pytest.raises(ProviderFailed) as failed:
        await provider.finish(begun, answer)
    assert failed.value.reason == reason
