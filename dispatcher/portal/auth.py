"""Who is calling: bearer tokens (JWT), verified with a shared secret or with an identity provider's keys."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import jwt
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from dispatcher.errors import ConfigurationError
from dispatcher.portal.api.problems import Problem
from dispatcher.settings import Settings
from dispatcher.webhooks.webhook import Person

ORGANIZATION_ADMIN = "organization_admin"

JWKS_ALGORITHMS = frozenset({"RS256", "ES256"})

_HALF_OF_A_PAIR = re.compile("[\ud800-\udfff]")


def _without_nulls(claims: Any) -> Any:
    """Providers write null for what they do not know."""
    return {name: value for name, value in claims.items() if value is not None} if isinstance(claims, dict) else claims


def _with_whole_characters(text: str) -> str:
    """JSON can hold halves of surrogate pairs, which nothing that is written here can."""
    return _HALF_OF_A_PAIR.sub("\ufffd", text)


def _of_organizations(memberships: Any) -> Any:
    if not isinstance(memberships, dict):
        return memberships
    # An id is not to become another's: what no organization can have as its id names none.
    return {id: place for id, place in _without_nulls(memberships).items() if not _HALF_OF_A_PAIR.search(id)}


_Text = Annotated[str, AfterValidator(_with_whole_characters)]


class Membership(BaseModel):
    """What somebody is in an organization."""

    model_config = ConfigDict(frozen=True)

    name: _Text = ""
    role: _Text = ""

    _without_nulls = model_validator(mode="before")(_without_nulls)


class Caller(BaseModel):
    """Somebody with a valid token."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(alias="sub", min_length=1)
    name: _Text = ""
    email: _Text = ""
    organizations: Annotated[Mapping[str, Membership], BeforeValidator(_of_organizations)] = {}

    _without_nulls = model_validator(mode="before")(_without_nulls)

    @property
    def person(self) -> Person:
        """How what they do is signed."""
        return Person(id=self.id, name=self.name or self.email or self.id)

    def require_admin(self, organization: str) -> None:
        """Only an Organization Admin of an organization configures its webhooks.

        Raises:
            Problem: 403.
        """
        membership = self.organizations.get(organization)
        if membership is None:
            raise Problem(403, "Your token does not name this organization.")
        if membership.role != ORGANIZATION_ADMIN:
            raise Problem(403, f"Only a user with the role {ORGANIZATION_ADMIN} may see and configure webhooks.")


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key, and the one algorithm that it verifies."""

    algorithm: str
    key: Any


class Keys(Protocol):
    """Where the keys that verify tokens come from."""

    algorithms: frozenset[str]

    async def find(self, algorithm: str, key_id: str | None) -> VerificationKey | None:
        """The key for a token's header; None: there is no such key.

        Raises:
            Problem: 503, the keys cannot be had at the moment.
        """


class SharedSecret:
    """HS256 with the UTF-8 bytes of ``DISPATCHER_AUTH_SECRET``."""

    algorithms = frozenset({"HS256"})

    def __init__(self, secret: SecretStr) -> None:
        self._key = VerificationKey("HS256", secret.get_secret_value().encode())

    async def find(self, algorithm: str, key_id: str | None) -> VerificationKey | None:  # noqa: ARG002 - as Keys has it
        """The secret, whatever key a token names."""
        return self._key if algorithm == "HS256" else None


class Authentication:
    """Turns the ``Authorization`` header of a request into who is calling."""

    def __init__(self, keys: Keys, *, issuer: str | None = None, audience: str | None = None) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    async def caller(self, authorization: str | None) -> Caller:
        """Who sent the header.

        Raises:
            Problem: 401, there is no valid token; 503, the keys to verify it cannot be had at the moment.
        """
        if authorization is None:
            raise Problem(
                401,
                "Send a token: Authorization: Bearer <JWT>.",
                headers={"WWW-Authenticate": 'Bearer realm="webhooks"'},
            )
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _unauthorized("The Authorization header is not of the form Bearer <JWT>")
        return await self._verified(token.strip())

    async def _verified(self, token: str) -> Caller:
        try:
            header = jwt.get_unverified_header(token)
            algorithm, key_id = header.get("alg"), header.get("kid")
            if not isinstance(algorithm, str) or algorithm not in self._keys.algorithms:
                accepted = " or ".join(sorted(self._keys.algorithms))
                raise _unauthorized(f"The token is not signed with {accepted}")
            key = await self._keys.find(algorithm, key_id)
            if key is None:
                raise _unauthorized("The token is signed with a key that is not known here")
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                issuer=self._issuer,
                audience=self._audience,
                options={
                    "require": ["exp", "sub"],
                    "verify_iat": False,
                    "verify_iss": self._issuer is not None,
                    "verify_aud": self._audience is not None,
                },
            )
            return Caller.model_validate(claims)
        except UnicodeError:  # bytes of the header that are no text
            raise _unauthorized(_NO_JWT) from None
        except jwt.PyJWTError as error:
            raise _unauthorized(_reason(error)) from None
        except ValidationError as error:
            claim = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise _unauthorized(f"The token's claim {claim} is not as it should be") from None


def _unauthorized(reason: str) -> Problem:
    # The reason goes into a quoted string of a header: none of ours holds a quote, a backslash or a line's end.
    return Problem(
        401,
        f"{reason}. Sign in again, or get a new token.",
        headers={"WWW-Authenticate": f'Bearer realm="webhooks", error="invalid_token", error_description="{reason}"'},
    )


_NO_JWT = "The token is not a valid JWT"
_REASONS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, "The token has expired"),
    (jwt.ImmatureSignatureError, "The token is not valid yet"),
    (jwt.InvalidAudienceError, "The token is meant for another audience"),
    (jwt.InvalidIssuerError, "The token comes from another issuer"),
    (jwt.InvalidSignatureError, "The signature of the token is not valid"),
)


def _reason(error: jwt.PyJWTError) -> str:
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"The token has no claim {error.claim}"
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), _NO_JWT)


def check_authentication_settings(settings: Settings) -> None:
    """The portal verifies tokens in exactly one way; where people sign in is configured whole or not at all.

    Raises:
        ConfigurationError: no way is configured, or two are, or a part is missing.
    """
    provider = {
        "DISPATCHER_OIDC_ISSUER": settings.oidc_issuer,
        "DISPATCHER_OIDC_CLIENT_ID": settings.oidc_client_id,
        "DISPATCHER_OIDC_CLIENT_SECRET": settings.oidc_client_secret,
    }
    missing = [
        name for name, value in {**provider, "DISPATCHER_PUBLIC_URL": settings.public_url}.items() if value is None
    ]
    if missing and any(provider.values()):
        raise ConfigurationError(f"signing in by OpenID Connect also needs {', '.join(missing)}")
    if settings.auth_secret is None and settings.auth_jwks_url is None:
        raise ConfigurationError(
            "the portal verifies bearer tokens: set DISPATCHER_AUTH_SECRET (at least 32 bytes) "
            "or DISPATCHER_AUTH_JWKS_URL"
        )
    if settings.auth_secret is not None and settings.auth_jwks_url is not None:
        raise ConfigurationError(
            "DISPATCHER_AUTH_SECRET and DISPATCHER_AUTH_JWKS_URL are both set: keep the one that signs your tokens"
        )
