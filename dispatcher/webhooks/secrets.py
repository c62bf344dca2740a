"""Standard Webhooks secrets: ``whsec_`` and the base64 of 24 to 64 random bytes."""

import binascii
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from dispatcher.webhooks.webhook import SigningSecret

PREFIX = "whsec_"
OVERLAP = timedelta(hours=24)
"""How long a secret that was rotated away goes on signing, so that a target can change over."""

MAX_SECRETS = 10
"""How many secrets sign at most: every one makes each request's header 48 bytes longer."""

_NEW_BYTES = 32
_ALLOWED_BYTES = range(24, 65)


class TooManySecrets(Exception):
    """Another rotation would end a secret that is to sign for longer. ``until`` is when the first of them expires."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"{MAX_SECRETS} secrets sign until {until}")
        self.until = until


def new_secret(randomness: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A secret that nobody has seen yet."""
    return PREFIX + b64encode(randomness(_NEW_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The bytes to sign with.

    Raises:
        ValueError: it is not such a secret.
    """
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in _ALLOWED_BYTES:
        raise ValueError(f"a signing secret is {PREFIX} followed by the base64 of 24 to 64 bytes")
    return key


def rotate(
    current: Sequence[SigningSecret], now: datetime, new: Callable[[], str] = new_secret
) -> tuple[SigningSecret, ...]:
    """The secrets after a rotation: the new one first, then those that sign with it until they expire.

    Raises:
        TooManySecrets: as many as can sign already do.
    """
    until = now + OVERLAP
    outgoing = [
        secret.model_copy(update={"expires_on": until}) if secret.expires_on is None else secret
        for secret in current
        if secret.expires_on is None or secret.expires_on > now
    ]
    if len(outgoing) >= MAX_SECRETS:
        raise TooManySecrets(min(secret.expires_on or until for secret in outgoing))
    return (SigningSecret(value=new()), *outgoing)
