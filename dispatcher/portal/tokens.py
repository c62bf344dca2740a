"""Signs bearer tokens where no identity provider does: for programs on this machine, and people who try the API."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import jwt
from pydantic import SecretStr

from dispatcher.settings import Settings


def sign_token(
    settings: Settings,
    secret: SecretStr,
    *,
    user: str,
    name: str,
    organizations: Mapping[str, str],
    role: str,
    now: datetime,
    lifetime: timedelta,
    email: str | None = None,
) -> str:
    """A token for the API; ``organizations`` are names by id, in each of which the user has ``role``.

    Raises:
        OverflowError: the lifetime is longer than the calendar.
    """
    claims = {
        "sub": user,
        "name": name,
        **({"email": email} if email else {}),
        "iat": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
        **({"iss": settings.auth_issuer} if settings.auth_issuer else {}),
        **({"aud": settings.auth_audience} if settings.auth_audience else {}),
        "organizations": {id: {"name": label, "role": role} for id, label in organizations.items()},
    }
    return jwt.encode(claims, secret.get_secret_value().encode(), algorithm="HS256")
