"""Signing in at an OpenID Connect provider: authorization code with PKCE (RFC 7636), state and nonce.

Authlib does the code flow; the ID token is verified as bearer tokens are, with the provider's keys, and carries the
same ``organizations`` claim.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Any

import aiohttp
import httpx2
import jwt
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from yarl import URL

from dispatcher.portal.api.problems import Problem
from dispatcher.portal.auth import Caller
from dispatcher.portal.jwks import Jwks
from dispatcher.portal.pages.languages import N_

LONGEST_SIGN_IN = timedelta(minutes=10)
CALLBACK = "/sign-in/callback"
SIGNED_OUT = "/sign-in"
"""Where people come back to who signed out at the provider."""

_SCOPE = "openid profile email"
_SECONDS = 10.0
_FRESH_SECONDS = 3600.0
_LEEWAY = timedelta(seconds=30)


class ProviderFailed(Exception):
    """Signing in did not work. The text is for the log; ``reason`` for the person, in English."""

    def __init__(self, reason: str, details: str = "") -> None:
        super().__init__(details or reason)
        self.reason = reason


class Begun(BaseModel):
    """A sign-in that was begun: what has to come back from the provider, kept sealed in the browser meanwhile."""

    model_config = ConfigDict(frozen=True)

    state: str
    nonce: str
    verifier: str
    onward: str
    at: datetime


@dataclass(frozen=True, slots=True)
class _Endpoints:
    authorization: str
    token: str
    end_session: URL | None
    keys: Jwks
    at: float


class Provider:
    """The provider at ``issuer``; ``public_url`` is ours, as people reach it. ``monotonic`` counts seconds."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: SecretStr,
        public_url: str,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect = public_url.rstrip("/") + CALLBACK
        self._signed_out = public_url.rstrip("/") + SIGNED_OUT
        self._clock = clock
        self._monotonic = monotonic
        self._endpoints: _Endpoints | None = None
        self._session: aiohttp.ClientSession | None = None
        self._looking = asyncio.Lock()

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            await self._session.close()

    async def begin(self, onward: str, *, anew: bool = False) -> tuple[str, Begun]:
        """Where to send the browser, and what to keep until it comes back.

        ``anew``: the person says again who they are, though the provider knows it.

        Raises:
            ProviderFailed: the provider does not answer.
        """
        endpoints = await self._found()
        begun = Begun(
            state=token_urlsafe(24),
            nonce=token_urlsafe(24),
            verifier=token_urlsafe(48),
            onward=onward,
            at=self._clock(),
        )
        prompt = {"prompt": "login"} if anew else {}
        async with self._client() as client:
            url, _ = client.create_authorization_url(
                endpoints.authorization, state=begun.state, nonce=begun.nonce, code_verifier=begun.verifier, **prompt
            )
        return str(url), begun

    async def sign_out_url(self) -> str | None:
        """Where to send the browser of who signs out (OpenID Connect RP-Initiated Logout), if the provider says so.

        No ID token goes with it, which would have to be kept in the browser: some providers ask the person first then.
        """
        try:
            endpoint = (await self._found()).end_session
        except ProviderFailed:
            return None
        asked = {"client_id": self._client_id, "post_logout_redirect_uri": self._signed_out}
        return None if endpoint is None else str(endpoint.update_query(asked))

    async def finish(self, begun: Begun | None, answer: Mapping[str, str]) -> Caller:
        """Who signed in, from what the provider sent the browser back with.

        Raises:
            ProviderFailed: nobody did.
        """
        if (
            begun is None
            or not compare_digest(begun.state.encode(), answer.get("state", "").encode())
            or self._clock() - begun.at > LONGEST_SIGN_IN
        ):
            raise ProviderFailed(N_("the sign-in took too long, or was begun in another browser"))
        if "error" in answer or "code" not in answer:
            raise ProviderFailed(N_("it refused"), f"{answer.get('error')}: {answer.get('error_description')}")
        endpoints = await self._found()
        try:
            async with self._client() as client:
                token = await client.fetch_token(
                    endpoints.token, code=answer["code"], code_verifier=begun.verifier, grant_type="authorization_code"
                )
        except httpx2.HTTPError as error:
            raise ProviderFailed(N_("it does not answer"), repr(error)) from error
        except (AuthlibBaseError, ValueError) as error:
            raise ProviderFailed(N_("it refused"), repr(error)) from error
        return await self._verified(endpoints, token.get("id_token"), begun.nonce)

    async def _verified(self, endpoints: _Endpoints, id_token: object, nonce: str) -> Caller:
        if not isinstance(id_token, str):
            raise ProviderFailed(N_("what it answered cannot be trusted"), "there is no ID token")
        try:
            header = jwt.get_unverified_header(id_token)
            algorithm = header.get("alg")
            if algorithm not in endpoints.keys.algorithms:
                raise ProviderFailed(
                    N_("what it answered cannot be trusted"), f"the ID token is signed with {algorithm}"
                )
            key = await endpoints.keys.find(str(algorithm), header.get("kid"))
            if key is None:
                raise ProviderFailed(
                    N_("what it answered cannot be trusted"), "the ID token's key is not the provider's"
                )
            claims = jwt.decode(
                id_token,
                key.key,
                algorithms=[key.algorithm],
                issuer=self._issuer,
                audience=self._client_id,
                leeway=_LEEWAY,
                options={"require": ["exp", "iat", "sub", "iss", "aud", "nonce"]},
            )
            self._check(claims, nonce)
            return Caller.model_validate(claims)
        except (jwt.PyJWTError, ValidationError) as error:
            raise ProviderFailed(N_("what it answered cannot be trusted"), repr(error)) from error
        except Problem as problem:
            raise ProviderFailed(N_("it does not answer"), str(problem)) from problem

    def _check(self, claims: Mapping[str, Any], nonce: str) -> None:
        """What OpenID Connect Core, section 3.1.3.7, asks for beside signature, issuer, audience and time."""
        if not compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
            raise ProviderFailed(N_("what it answered cannot be trusted"), "the nonce is another sign-in's")
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != self._client_id:
            raise ProviderFailed(N_("what it answered cannot be trusted"), "the ID token is another client's")

    async def _found(self) -> _Endpoints:
        """The provider's addresses, by OpenID Connect Discovery, asked for again after an hour."""
        async with self._looking:
            if self._endpoints is None or self._monotonic() - self._endpoints.at > _FRESH_SECONDS:
                self._endpoints = await self._look()
            return self._endpoints

    async def _look(self) -> _Endpoints:
        try:
            async with self._client() as client:
                response = await client.request(
                    "GET", f"{self._issuer.rstrip('/')}/.well-known/openid-configuration", withhold_token=True
                )
                response.raise_for_status()
                document = response.json()
            if document["issuer"] != self._issuer:
                raise ProviderFailed(N_("what it answered cannot be trusted"), f"it is {document['issuer']!r}")
            if self._session is None:
                self._session = aiohttp.ClientSession(trust_env=False)
            keys = Jwks(document["jwks_uri"], self._session, self._monotonic)
            end_session = document.get("end_session_endpoint")
            return _Endpoints(
                document["authorization_endpoint"],
                document["token_endpoint"],
                None if end_session is None else URL(end_session),
                keys,
                at=self._monotonic(),
            )
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            raise ProviderFailed(N_("it does not answer"), repr(error)) from error

    def _client(self) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            client_id=self._client_id,
            client_secret=self._client_secret.get_secret_value(),
            scope=_SCOPE,
            redirect_uri=self._redirect,
            code_challenge_method="S256",
            timeout=_SECONDS,
            trust_env=False,
        )
