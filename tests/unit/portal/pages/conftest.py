"""A provider that people sign in at, and the portal's side of it."""

from collections.abc import AsyncIterator
from time import monotonic

import pytest
from pydantic import SecretStr

from dispatcher.portal.pages.oidc import Provider
from tests.support.oidc_provider import CLIENT_ID, CLIENT_SECRET, OURS, Clock, OidcProvider, an_oidc_provider


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def there() -> AsyncIterator[OidcProvider]:
    async with an_oidc_provider(f"{OURS}/sign-in/callback") as provider:
        yield provider


@pytest.fixture
async def provider(there: OidcProvider, clock: Clock) -> AsyncIterator[Provider]:
    secret = SecretStr(CLIENT_SECRET)
    provider = Provider(there.issuer, CLIENT_ID, secret, f"{OURS}/", clock=clock, monotonic=monotonic)
    yield provider
    await provider.close()
