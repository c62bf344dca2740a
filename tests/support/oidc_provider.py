"""A small OpenID Connect provider on loopback: whoever comes is signed in at once, if the client does its part."""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

OURS = "https://portal.example"
"""Where the portal is that people are sent back to."""

CLIENT_ID = "portal"
CLIENT_SECRET = "a secret of the client's & more"


class Clock:
    """The time of the day, which a test lets pass."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class OidcProvider:
    """``claims`` replaces what its ID tokens say; ``refuses`` is the error that people come back with."""

    redirect_uri: str
    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    refuses: str | None = None
    end_session_endpoint: str | None = None
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    signs_with: ec.EllipticCurvePrivateKey | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    async def discovery(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                **({"end_session_endpoint": self.end_session_endpoint} if self.end_session_endpoint else {}),
            }
        )

    async def keys(self, _: web.Request) -> web.Response:
        key = jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return web.json_response({"keys": [{**key, "kid": "one", "alg": "ES256", "use": "sig"}]})

    async def authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["redirect_uri"] == self.redirect_uri
        assert "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256"
        if self.refuses:
            answer = {"error": self.refuses, "state": asked["state"]}
        else:
            code = token_urlsafe(16)
            self.codes[code] = asked
            answer = {"code": code, "state": asked["state"]}
        return web.Response(status=302, headers={"Location": f"{self.redirect_uri}?{urlencode(answer)}"})

    async def token(self, request: web.Request) -> web.Response:
        scheme, _, credentials = request.headers["Authorization"].partition(" ")
        client, _, secret = b64decode(credentials).decode().partition(":")
        form = {name: values[0] for name, values in parse_qs(await request.text()).items()}
        asked = self.codes.pop(form["code"], None)
        challenge = urlsafe_b64encode(sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        if (scheme, client) != ("Basic", CLIENT_ID) or CLIENT_SECRET not in {secret, unquote(secret)}:
            return web.json_response({"error": "invalid_client"}, status=401)
        if asked is None or asked["code_challenge"] != challenge or form["redirect_uri"] != self.redirect_uri:
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = datetime.now(UTC)
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": "user-7",
            "name": "Grace",
            "iat": now,
            "exp": now + timedelta(minutes=5),
            "nonce": asked["nonce"],
            "organizations": {"org-contoso": {"name": "Contoso", "role": "organization_admin"}},
            **self.claims,
        }
        id_token = jwt.encode(claims, self.signs_with or self.key, algorithm="ES256", headers={"kid": "one"})
        return web.json_response({"access_token": token_urlsafe(8), "token_type": "Bearer", "id_token": id_token})


@asynccontextmanager
async def an_oidc_provider(redirect_uri: str) -> AsyncIterator[OidcProvider]:
    """A provider that knows one client, which people come back to at ``redirect_uri``."""
    provider = OidcProvider(redirect_uri)
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", provider.discovery)
    app.router.add_get("/keys", provider.keys)
    app.router.add_get("/authorize", provider.authorize)
    app.router.add_post("/token", provider.token)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        provider.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield provider
    finally:
        await runner.cleanup()
