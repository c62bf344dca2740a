"""Bearer tokens: what is believed and what is not."""

import asyncio
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import SecretStr

from dispatcher.portal.api.problems import Problem
from dispatcher.portal.auth import Authentication, Caller, SharedSecret
from dispatcher.portal.jwks import AGAIN_SECONDS, FRESH_SECONDS, Jwks
from tests.support.web_server import listening

SECRET = "a secret of more than thirty-two bytes, é included"
SECRET_BYTES = SECRET.encode()


def valid_claims() -> dict[str, Any]:
    return {
        "sub": "u-1",
        "name": "Ada",
        "exp": int(time.time()) + 600,
        "organizations": {"org-a": {"name": "A", "role": "organization_admin"}, "org-b": {"role": "reader"}},
    }


def token(key: Any = SECRET_BYTES, algorithm: str = "HS256", **claims: Any) -> str:
    content = {name: value for name, value in {**valid_claims(), **claims}.items() if value is not None}
    return jwt.encode(content, key, algorithm=algorithm)


def b64(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def unsigned(header: dict[str, Any]) -> str:
    parts = [b64(json.dumps(part)) for part in (header, valid_claims())]
    return f"{parts[0]}.{parts[1]}."


async def ask(authorization: str | None, **options: Any) -> Caller:
    return await Authentication(SharedSecret(SecretStr(SECRET)), **options).caller(authorization)


async def refused(authorization: str | None, **options: Any) -> str:
    with pytest.raises(Problem) as caught:
        await ask(authorization, **options)
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer ")
    return caught.value.details.detail


@pytest.mark.parametrize(
    "text", ["\udcff.\udcff.\udcff", "a.b", "é.é.é", "." * 10_000, "[[]", f"{b64('[' * 40_000)}.e30."]
)
async def test_what_is_no_token_at_all_is_refused(text: str) -> None:
    assert "not a valid JWT" in await refused(f"Bearer {text}")


async def test_believes_a_signed_token() -> None:
    caller = await ask(f"bearer {token()}")
    assert caller.person.model_dump() == {"id": "u-1", "name": "Ada"}
    caller.require_admin("org-a")
    for organization in ("org-b", "org-c"):
        with pytest.raises(Problem) as caught:
            caller.require_admin(organization)
        assert caught.value.status == 403


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic dTpw", "Bearer x", "Bearer a.b.c"])
async def test_needs_a_token(authorization: str | None) -> None:
    await refused(authorization)


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": 1}, "expired"),
        ({"exp": None}, "exp"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"nbf": 4_000_000_000}, "not valid yet"),
        ({"organizations": ["org-a"]}, "organizations"),
        ({"organizations": {"org-a": "admin"}}, "organizations"),
    ],
)
async def test_refuses_claims(claims: dict[str, Any], why: str) -> None:
    assert why in await refused(f"Bearer {token(**claims)}")


async def test_null_is_as_good_as_absent() -> None:
    organizations = {"org-a": {"name": None, "role": "organization_admin"}, "org-b": None, "org-c": {"role": None}}
    claims = {**valid_claims(), "name": None, "email": None, "organizations": organizations}
    caller = await ask(f"Bearer {jwt.encode(claims, SECRET_BYTES)}")
    caller.require_admin("org-a")
    assert caller.organizations["org-a"].name == ""
    assert caller.organizations["org-c"].role == ""
    assert "org-b" not in caller.organizations
    assert caller.person.name == caller.id
    caller = await ask(f"Bearer {jwt.encode({**valid_claims(), 'organizations': None}, SECRET_BYTES)}")
    assert caller.organizations == {}


async def test_halves_of_surrogate_pairs_are_no_text() -> None:
    place = {"name": "A \ud800", "role": "organization_admin"}
    halved = token(name="Ada \ud800", email="\udfff", organizations={"org-a": place, "\ud800": place})
    caller = await ask(f"Bearer {halved}")
    assert (caller.person.name, caller.email) == ("Ada \ufffd", "\ufffd")
    assert [(id, one.name) for id, one in caller.organizations.items()] == [("org-a", "A \ufffd")]
    unnamed = token(sub="\ud800")
    assert "sub" in await refused(f"Bearer {unnamed}")
    whole = token(name="Ada 😀")
    assert (await ask(f"Bearer {whole}")).person.name == "Ada 😀"


async def test_refuses_other_signatures() -> None:
    assert "signature" in await refused(f"Bearer {token(key=b'another secret of at least 32 bytes')}")
    assert "HS256" in await refused(f"Bearer {unsigned({'alg': 'none'})}")
    assert "HS256" in await refused(f"Bearer {unsigned({'alg': 'None'})}")
    assert "HS256" in await refused(f"Bearer {token(key=SECRET_BYTES * 2, algorithm='HS512')}")
    head, body, signature = token().split(".")
    other = b64(json.dumps({**valid_claims(), "sub": "u-2"}))
    assert "signature" in await refused(f"Bearer {head}.{other}.{signature}")
    assert body != other


@pytest.mark.parametrize("algorithm", [["HS256"], {}, 1, None])
async def test_refuses_an_algorithm_that_is_no_text(algorithm: Any) -> None:
    assert "not signed with HS256" in await refused(f"Bearer {unsigned({'alg': algorithm})}")


async def test_checks_issuer_and_audience_where_they_are_set() -> None:
    options = {"issuer": "https://id", "audience": "webhooks"}
    assert "issuer" in await refused(f"Bearer {token(iss='https://other', aud='webhooks')}", **options)
    assert "iss" in await refused(f"Bearer {token(aud='webhooks')}", **options)
    assert "audience" in await refused(f"Bearer {token(iss='https://id', aud='other')}", **options)
    await ask(f"Bearer {token(iss='https://id', aud=['webhooks', 'other'])}", **options)
    await ask(f"Bearer {token(iss='https://other', aud='other')}")


RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def public(key: Any, algorithm: str, **members: str) -> dict[str, Any]:
    named: Any = jwt.get_algorithm_by_name(algorithm)
    return {**named.to_jwk(key.public_key(), as_dict=True), **members}


class Provider:
    """An identity provider whose keys change, and which is away when told so."""

    def __init__(self) -> None:
        self.keys = [public(RSA_KEY, "RS256", kid="r"), public(EC_KEY, "ES256", kid="e")]
        self.away = False
        self.asked = 0
        self.now = 0.0
        self.url = ""

    async def handle(self, _: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response({"keys": self.keys}, status=503 if self.away else 200)


Ask = Callable[[str], Any]


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    app = web.Application()
    app.router.add_get("/jwks", provider.handle)
    async with listening(web.AppRunner(app, access_log=None)) as url:
        provider.url = f"{url}/jwks"
        yield provider


@pytest.fixture
async def with_jwks(provider: Provider) -> AsyncIterator[Ask]:
    async with aiohttp.ClientSession() as session:
        authentication = Authentication(Jwks(provider.url, session, lambda: provider.now))

        async def ask(token: str) -> Any:
            try:
                return await authentication.caller(f"Bearer {token}")
            except Problem as problem:
                return problem.status

        yield ask


def keyed(key: Any, algorithm: str, kid: str | None) -> str:
    return jwt.encode(valid_claims(), key, algorithm=algorithm, headers={"kid": kid} if kid else None)


async def test_believes_the_provider_s_keys(provider: Provider, with_jwks: Ask) -> None:
    tokens = [keyed(RSA_KEY, "RS256", "r"), keyed(EC_KEY, "ES256", "e"), keyed(RSA_KEY, "RS256", None)]
    callers = await asyncio.gather(*(with_jwks(token) for token in tokens))
    assert [caller.id for caller in callers] == ["u-1"] * 3
    assert provider.asked == 1


async def test_believes_nothing_else(provider: Provider, with_jwks: Ask) -> None:
    for token in (
        keyed(provider.keys[0]["n"].encode(), "HS256", "r"),
        unsigned({"alg": "none", "kid": "r"}),
        keyed(EC_KEY, "ES256", "r"),
        keyed(RSA_KEY, "RS512", "r"),
        keyed(RSA_KEY, "PS256", "r"),
        keyed(rsa.generate_private_key(65537, 2048), "RS256", "r"),
        keyed(RSA_KEY, "RS256", "unknown"),
    ):
        assert await with_jwks(token) == 401


async def test_follows_new_keys_but_asks_seldom(provider: Provider, with_jwks: Ask) -> None:
    new = ec.generate_private_key(ec.SECP256R1())
    token = keyed(new, "ES256", "new")
    assert await with_jwks(token) == 401
    provider.keys.append(public(new, "ES256", kid="new"))
    for _ in range(5):
        assert await with_jwks(token) == 401
    assert provider.asked == 1
    provider.now += AGAIN_SECONDS
    assert (await with_jwks(token)).id == "u-1"
    assert provider.asked == 2


async def test_goes_on_while_the_provider_is_away(provider: Provider, with_jwks: Ask) -> None:
    token = keyed(EC_KEY, "ES256", "e")
    provider.away = True
    assert await with_jwks(token) == 503
    provider.away = False
    provider.now += AGAIN_SECONDS
    assert (await with_jwks(token)).id == "u-1"
    provider.away = True
    provider.now += FRESH_SECONDS
    assert (await with_jwks(token)).id == "u-1"
