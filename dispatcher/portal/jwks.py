"""An identity provider's keys (JWKS), fetched when they are needed, kept, and fetched again when they change."""

import asyncio
import json
from collections.abc import Callable

import aiohttp
import jwt

from dispatcher.portal.api.problems import Problem
from dispatcher.portal.auth import JWKS_ALGORITHMS, VerificationKey

FRESH_SECONDS = 300.0
"""How long fetched keys are used without asking again."""

AGAIN_SECONDS = 10.0
"""How long nothing is fetched after a fetch, whatever key a token names and however the fetch ended."""

_TIMEOUT = aiohttp.ClientTimeout(total=5)
_MAX_BYTES = 1024 * 1024


class JwksUnavailable(Exception):
    """The provider does not answer, or not with keys."""


class Jwks:
    """The keys at ``DISPATCHER_AUTH_JWKS_URL``.

    When the provider is away, the keys of the last fetch go on being used. ``monotonic`` counts seconds.
    """

    algorithms = JWKS_ALGORITHMS

    def __init__(self, url: str, session: aiohttp.ClientSession, monotonic: Callable[[], float]) -> None:
        self._url = url
        self._session = session
        self._monotonic = monotonic
        self._fetching = asyncio.Lock()
        self._keys: dict[tuple[str, str | None], VerificationKey] | None = None
        self._fetched_at = -FRESH_SECONDS
        self._tried_at = -FRESH_SECONDS

    async def find(self, algorithm: str, key_id: str | None) -> VerificationKey | None:
        """The key with this id, or, for a token without one, the only key of its algorithm."""
        if self._keys is None or self._monotonic() - self._fetched_at >= FRESH_SECONDS:
            await self._refresh()
        found = self._among(algorithm, key_id)
        if found is None and await self._refresh():
            found = self._among(algorithm, key_id)
        if found is None and self._keys is None:
            raise Problem(
                503,
                "The keys that verify tokens cannot be fetched from the identity provider at the moment.",
                headers={"Retry-After": str(int(AGAIN_SECONDS))},
            )
        return found

    def _among(self, algorithm: str, key_id: str | None) -> VerificationKey | None:
        keys = self._keys or {}
        if key_id is not None:
            return keys.get((algorithm, key_id))
        of_algorithm = [key for (its_algorithm, _), key in keys.items() if its_algorithm == algorithm]
        return of_algorithm[0] if len(of_algorithm) == 1 else None

    async def _refresh(self) -> bool:
        """Fetch the keys, unless somebody just did; whether there are new ones to look at."""
        before = self._fetched_at
        async with self._fetching:
            if self._monotonic() - self._tried_at >= AGAIN_SECONDS:
                self._tried_at = self._monotonic()
                try:
                    self._keys = await self._fetch()
                except JwksUnavailable:
                    return False
                self._fetched_at = self._monotonic()
        return self._fetched_at != before

    async def _fetch(self) -> dict[tuple[str, str | None], VerificationKey]:
        try:
            async with self._session.get(self._url, timeout=_TIMEOUT) as response:
                if response.status != 200:
                    raise JwksUnavailable(f"status {response.status}")
                text = await response.content.read(_MAX_BYTES)
                while len(text) < _MAX_BYTES and (more := await response.content.read(_MAX_BYTES - len(text))):
                    text += more
            document = json.loads(text)
            if not isinstance(document, dict):
                raise JwksUnavailable("not a JWKS")
            keys = jwt.PyJWKSet.from_dict(document).keys
        except (aiohttp.ClientError, TimeoutError, ValueError, jwt.PyJWTError) as error:
            raise JwksUnavailable(str(error)) from error
        return {
            (algorithm, key.key_id): VerificationKey(algorithm, key)
            for key in keys
            if (algorithm := key.algorithm_name) in JWKS_ALGORITHMS and key.public_key_use in (None, "sig")
        }
